use super::*;
use std::io;

/// The texts that people read in the log, in findings and in the journal.
#[test]
fn texts_of_errors_and_reasons_do_not_change() {
    let scans = || "scans".into();
    let refused = || io::Error::other("REASON");
    let texts = [
        WatchError::Io { path: scans(), source: refused() }.to_string(),
        WatchError::Gone { path: scans() }.to_string(),
        WatchError::Overflow { path: scans() }.to_string(),
        ArchiveError::Io { path: "archive".into(), source: refused() }.to_string(),
        ArchiveError::SmallDisk { folder: "archive".into(), min_free_mib: 2048, disk_mib: 1000 }.to_string(),
    ];
    let no_images = [NoImage::NotYet, NoImage::Several, NoImage::OutOfStep].map(|why| why.to_string());
    let changes = [Change::Replaced, Change::Written, Change::Attributes].map(|change| change.to_string());
    let unjudged = Unjudged::ALL.map(|why| format!("{}: {why}", why.name()));
    let all = [&texts[..], &no_images, &changes, &unjudged].concat();
    insta::assert_snapshot!("errors", all.join("\n"));
}
