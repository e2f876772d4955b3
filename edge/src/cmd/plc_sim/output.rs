//! Prints the outcomes of the parts, the answers to confirmations, and the summary.

use cellgate_edge::percentile::percentile;
use cellgate_protocol::bundle::{BundleState, ConfirmResult, Confirmed};
use cellgate_protocol::gate::GateDecision;
use cellgate_protocol::reason::Role;
use cellgate_protocol::session::plc::{PartEnd, PlcEvent};
use std::io::{self, Write};
use std::time::Duration;

/// The outcomes of all parts.
#[derive(Default)]
pub(super) struct Summary {
    passed: u64,
    reviewed: u64,
    rejected: u64,
    /// The rejected parts whose reason is the gate's own, such as a late verdict, and not the device's.
    by_gate: u64,
    /// The parts that ended without a verdict of the device, such as a refused one.
    without_verdict: u64,
    /// The confirmations that the device refused.
    not_confirmed: u64,
    /// The time from each part's trigger to its outcome.
    times_ms: Vec<u64>,
}

/// Prints a part's outcome or the answer to a confirmation. Prints nothing of other events.
pub(super) fn print(output: &mut impl Write, event: &PlcEvent, json: bool) -> io::Result<()> {
    match event {
        PlcEvent::Decided(outcome) => print_outcome(output, outcome, json),
        PlcEvent::Confirmed(answer) => print_answer(output, answer, json),
        PlcEvent::Accepted { .. } | PlcEvent::Information(_) => Ok(()),
    }
}

fn print_outcome(output: &mut impl Write, outcome: &PartEnd, json: bool) -> io::Result<()> {
    let PartEnd { part_id, decision, elapsed_ms, claim, .. } = outcome;
    let (verdict, reason) = words(decision);
    let device_verdict = claim.map(|claim| claim.code.verdict().name());
    if json {
        let line = serde_json::json!({
            "part": part_id, "gate": verdict, "reason": reason, "device": device_verdict, "ms": elapsed_ms,
        });
        writeln!(output, "{line}")
    } else {
        writeln!(output, "part {part_id:>8}  {verdict:<6}  {reason:<22}  {elapsed_ms:>6} ms")
    }
}

fn print_answer(output: &mut impl Write, answer: &Confirmed, json: bool) -> io::Result<()> {
    let part_id = answer.confirm.part_id;
    let result = format!("{:?}", answer.result);
    if json {
        let line = serde_json::json!({ "part": part_id, "bundle": answer.confirm.bundle, "confirmation": result });
        writeln!(output, "{line}")
    } else {
        writeln!(output, "part {part_id:>8}  confirmation: {result}")
    }
}

/// Returns the stable names of the decision and of its reason. The reason of a PASS is empty.
fn words(decision: &GateDecision) -> (&'static str, String) {
    let reason = match decision {
        GateDecision::Pass => String::new(),
        GateDecision::Review(reason) | GateDecision::Reject(reason) => reason.to_string(),
    };
    (decision.verdict().name(), reason)
}

impl Summary {
    /// Counts a part's outcome or the answer to a confirmation.
    pub(super) fn add(&mut self, event: &PlcEvent) {
        match event {
            PlcEvent::Decided(outcome) => self.add_outcome(outcome),
            PlcEvent::Confirmed(answer) => {
                self.not_confirmed += u64::from(answer.result != ConfirmResult::CONFIRMED);
            }
            PlcEvent::Accepted { .. } | PlcEvent::Information(_) => {}
        }
    }

    fn add_outcome(&mut self, outcome: &PartEnd) {
        match outcome.decision {
            GateDecision::Pass => self.passed += 1,
            GateDecision::Review(_) => self.reviewed += 1,
            GateDecision::Reject(reason) => {
                self.rejected += 1;
                self.by_gate += u64::from(reason.role() == Some(Role::Gate));
            }
        }
        self.without_verdict += u64::from(outcome.claim.is_none());
        self.times_ms.push(outcome.elapsed_ms);
    }

    /// The exit status.
    pub(super) fn status(&self) -> u8 {
        u8::from(self.by_gate > 0 || self.without_verdict > 0 || self.not_confirmed > 0)
    }

    /// Prints the summary with the running bundle as the device showed it last.
    pub(super) fn print(
        &mut self,
        output: &mut impl Write,
        elapsed: Duration,
        bundle: &BundleState,
        json: bool,
    ) -> io::Result<()> {
        let parts = self.times_ms.len();
        let [p50_ms, p99_ms] = [0.5, 0.99].map(|share| percentile(&mut self.times_ms, share).unwrap_or(0));
        let per_minute = parts as f64 / elapsed.as_secs_f64() * 60.0;
        let Self { passed, reviewed, rejected, by_gate, without_verdict, .. } = self;
        let BundleState { bundle, step, confirmed, missing } = bundle;
        let step = step.name().map_or_else(|| step.0.to_string(), str::to_owned);
        if json {
            let line = serde_json::json!({
                "parts": parts, "pass": passed, "review": reviewed, "reject": rejected, "rejected_by_gate": by_gate,
                "p50_ms": p50_ms, "p99_ms": p99_ms, "parts_per_minute": per_minute, "without_verdict": without_verdict,
                "bundle": { "bundle": bundle, "step": step, "confirmed": confirmed, "missing": missing },
            });
            return writeln!(output, "{line}");
        }
        if *bundle != 0 {
            writeln!(output, "bundle {bundle}: {step}; reference parts: {confirmed} confirmed, {missing} missing")?;
        }
        writeln!(
            output,
            "{parts} parts: {passed} PASS, {reviewed} REVIEW, {rejected} REJECT ({by_gate} by the gate itself); \
             {without_verdict} without a verdict; trigger to verdict p50 {p50_ms} ms, p99 {p99_ms} ms; {per_minute:.0} parts per \
             minute"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_protocol::bundle::{Confirm, StepCode};
    use cellgate_protocol::code::VerdictCode;
    use cellgate_protocol::digest::DigestStart;
    use cellgate_protocol::gate::Claim;
    use cellgate_protocol::reason::ReasonCode;
    use cellgate_protocol::to_plc::Flags;

    /// The outcome REJECT of a part with this reason, with a verdict of the device or without.
    fn rejected(reason: ReasonCode, has_verdict: bool) -> PartEnd {
        let claim = Claim {
            crc_right: true,
            complement_right: true,
            part_id: 1,
            nonce: 1,
            code: VerdictCode::REJECT,
            reason,
            age_ms: 0,
            model: DigestStart([1; 8]),
            flags: Flags::default(),
        };
        let decision = GateDecision::Reject(reason);
        PartEnd {
            part_id: 1,
            nonce: 1,
            decision,
            claim: has_verdict.then_some(claim),
            verdict_seq: has_verdict.then_some(1),
            boot_epoch: None,
            elapsed_ms: 0,
        }
    }

    /// Regression: a part that a NAK ended counted as a part with a verdict.
    #[test]
    fn the_status_is_1_if_a_part_got_no_verdict_or_the_gate_rejected_it() {
        for (reason, has_verdict, status) in [
            (ReasonCode::SCORE_FROM_REJECT, true, 0),
            (ReasonCode::TIMEOUT, true, 0),
            (ReasonCode::NOT_READY, false, 1),
            (ReasonCode::STORE_FAILED, false, 1),
            (ReasonCode::STORE_FAILED, true, 0),
            (ReasonCode::LATE, false, 1),
            (ReasonCode::MODEL_NOT_ALLOWED, true, 1),
        ] {
            let mut summary = Summary::default();
            summary.add(&PlcEvent::Decided(rejected(reason, has_verdict)));
            assert_eq!(summary.status(), status, "{reason}, {has_verdict}");
        }
    }

    #[test]
    fn the_status_is_1_if_a_confirmation_was_refused() {
        let confirm = Confirm { verdict_seq: 1, part_id: 1, bundle: 7 };
        for (result, status) in [
            (ConfirmResult::CONFIRMED, 0),
            (ConfirmResult::NOT_IN_BUNDLE, 1),
            (ConfirmResult::REFUSED, 1),
            (ConfirmResult(9), 1),
        ] {
            let mut summary = Summary::default();
            summary.add(&PlcEvent::Confirmed(Confirmed { confirm, result }));
            assert_eq!(summary.status(), status, "{result:?}");
        }
    }

    #[test]
    fn the_text_of_a_bundle_equals_the_snapshot() {
        let confirm = Confirm { verdict_seq: 1, part_id: 1, bundle: 7 };
        let review = GateDecision::Review(ReasonCode::REFERENCE_PART);
        let events = [
            PlcEvent::Decided(PartEnd { decision: review, ..rejected(ReasonCode::NONE, true) }),
            PlcEvent::Confirmed(Confirmed { confirm, result: ConfirmResult::CONFIRMED }),
            PlcEvent::Accepted { part_id: 2 },
            PlcEvent::Decided(rejected(ReasonCode::SCORE_FROM_REJECT, true)),
            PlcEvent::Confirmed(Confirmed { confirm, result: ConfirmResult::REFUSED }),
        ];
        let (mut output, mut summary) = (Vec::new(), Summary::default());
        for event in &events {
            print(&mut output, event, false).unwrap();
            summary.add(event);
        }
        let bundle = BundleState { bundle: 7, step: StepCode::REFERENCE, confirmed: 1, missing: 4 };
        summary.print(&mut output, Duration::from_secs(60), &bundle, false).unwrap();
        insta::assert_snapshot!(String::from_utf8(output).unwrap());
    }
}
