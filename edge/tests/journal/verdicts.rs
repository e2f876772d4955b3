//! Tests `cellgate-edge journal verify --verdicts`.

use crate::{bad_place, cli, entry, open, trigger};
use cellgate_edge::journal::VerdictEntry;
use cellgate_test_support::transcript;

#[test]
fn a_verdict_that_does_not_follow_from_its_row_is_named_although_the_chain_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verdicts.sqlite");
    let journal = open(&path);
    let commit = |part: u64, change: &dyn Fn(VerdictEntry) -> VerdictEntry| {
        let accepted = journal.accept(trigger(part)).unwrap();
        journal.commit(change(entry(accepted.id()))).unwrap();
    };
    commit(1, &|entry| entry);
    commit(2, &|entry| entry);
    let sound = transcript(&cli(&["verify", "--verdicts"], &path, 0), folder.path());
    commit(3, &|entry| VerdictEntry { raw_logit: Some(0.5), ..entry });
    assert_eq!(bad_place(&path), None);
    let wrong = transcript(&cli(&["verify", "--verdicts"], &path, 1), folder.path());
    insta::with_settings!({filters => vec![("[0-9a-f]{64}", "HASH")]}, {
        insta::assert_snapshot!("verify_sound_verdicts", sound);
        insta::assert_snapshot!("verify_a_wrong_verdict", wrong);
    });
}
