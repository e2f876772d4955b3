//! Defines the arguments that select records or events.

use cellgate_edge::journal::{Filter, Scope, parse_utc_ms};
use cellgate_models::policy::Verdict;
use std::path::PathBuf;

/// Which records or events are read.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// File of the journal
    pub(super) journal: PathBuf,
    /// Events of the bundles instead of verdicts
    #[arg(long, conflicts_with_all = ["verdict", "part"])]
    pub(super) events: bool,
    /// Only what was committed at or after this UTC time, such as 2026-11-23 or 2026-11-23T09:30:00.250Z
    #[arg(long, value_name = "TIME", value_parser = parse_utc_ms)]
    since: Option<i64>,
    /// Only what was committed before this UTC time
    #[arg(long, value_name = "TIME", value_parser = parse_utc_ms)]
    until: Option<i64>,
    /// Only what belongs to this bundle; 0: to none
    #[arg(long, value_name = "ID")]
    bundle: Option<u32>,
    /// Only records with this verdict: PASS, REVIEW or REJECT
    #[arg(long, value_name = "VERDICT", value_parser = parse_verdict)]
    verdict: Option<Verdict>,
    /// Only records of this part
    #[arg(long, value_name = "PART")]
    part: Option<u64>,
}

impl Selection {
    pub(super) fn scope(&self) -> Scope {
        Scope { since_unix_ms: self.since, until_unix_ms: self.until, bundle: self.bundle }
    }

    pub(super) fn filter(&self) -> Filter {
        Filter { scope: self.scope(), verdict: self.verdict, part: self.part }
    }
}

fn parse_verdict(text: &str) -> Result<Verdict, String> {
    [Verdict::Pass, Verdict::Review, Verdict::Reject]
        .into_iter()
        .find(|verdict| verdict.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| "expected PASS, REVIEW or REJECT".to_owned())
}
