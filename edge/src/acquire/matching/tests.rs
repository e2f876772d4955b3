use super::*;
use std::path::PathBuf;

const LEAD: Duration = Duration::from_secs(1);

/// A file whose content is its name.
fn file(name: &str) -> ImageFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    std::fs::write(&path, name).unwrap();
    ImageFile { path: name.into(), ..ImageFile::at(path) }
}

fn arrival(name: &str, at: Instant) -> Arrival {
    Arrival { file: file(name), at }
}

fn path(taken: Result<ImageFile, NoImage>) -> Result<PathBuf, NoImage> {
    taken.map(|file| file.path)
}

fn paths(files: Vec<ImageFile>) -> Vec<PathBuf> {
    files.into_iter().map(|file| file.path).collect()
}

fn matcher(matching: Matching, arrivals: &[(&str, Instant)]) -> Matcher {
    let mut matcher = Matcher::new(matching, LEAD, Instant::now());
    for (name, at) in arrivals {
        matcher.add(arrival(name, *at));
    }
    matcher
}

#[test]
fn by_number_a_part_gets_its_image_once() {
    let now = Instant::now();
    let mut matcher = matcher(Matching::PartId, &[("0012.tif", now), ("13.tif", now), ("x12.tif", now)]);
    assert_eq!(path(matcher.take(13, now)), Ok("13.tif".into()));
    assert_eq!(matcher.take(13, now), Err(NoImage::NotYet));
    assert_eq!(path(matcher.take(12, now)), Ok("0012.tif".into()));
    assert_eq!(matcher.backlog(), 1);
}

#[test]
fn two_files_with_one_number_match_no_trigger() {
    let now = Instant::now();
    let mut matcher = matcher(Matching::PartId, &[("012.tif", now), ("12.tif", now)]);
    assert_eq!(matcher.take(12, now), Err(NoImage::Several));
    assert_eq!(matcher.missed(12, now).len(), 2);
    assert_eq!(matcher.backlog(), 0);
}

#[test]
fn an_image_from_long_before_the_trigger_is_discarded() {
    let then = Instant::now();
    let now = then + LEAD + Duration::from_millis(1);
    let mut matcher = matcher(Matching::PartId, &[("12.tif", then)]);
    assert_eq!(matcher.take(12, now), Err(NoImage::NotYet));
    assert_eq!(paths(matcher.take_discarded(now)), [PathBuf::from("12.tif")]);
    assert_eq!(matcher.backlog(), 0);
}

/// A matcher by order, and a clock in ms that begins when the matcher gets in step.
fn in_step(matching: Matching) -> (Matcher, impl Fn(u64) -> Instant) {
    let start = Instant::now();
    let at = move |ms: u64| start + LEAD + Duration::from_millis(1 + ms);
    (Matcher::new(matching, LEAD, start), at)
}

fn came(matcher: &mut Matcher, name: &str, at: Instant) {
    matcher.add(arrival(name, at));
}

#[test]
fn by_order_each_trigger_gets_the_image_on_its_side() {
    let (mut before, at) = in_step(Matching::ImageFirst);
    let (mut after, _) = in_step(Matching::TriggerFirst);
    for part in 0..5 {
        let (image, start) = (format!("{part}.tif"), 300 * part);
        came(&mut before, &image, at(start));
        assert_eq!(path(before.take(part, at(start + 100))), Ok(image.clone().into()));
        assert_eq!(after.take(part, at(start)), Err(NoImage::NotYet));
        came(&mut after, &image, at(start + 100));
        assert_eq!(path(after.take(part, at(start))), Ok(image.into()));
    }
}

/// A stray image, then trigger and image in turn: no image may be matched to another part.
#[test]
fn by_order_a_stray_image_shifts_no_image_to_another_part() {
    for matching in [Matching::ImageFirst, Matching::TriggerFirst] {
        let (mut matcher, at) = in_step(matching);
        came(&mut matcher, "stray.tif", at(0));
        if matching == Matching::ImageFirst {
            came(&mut matcher, "1.tif", at(50));
        }
        for part in 1..5 {
            assert_eq!(matcher.take(part, at(300 * part)), Err(NoImage::OutOfStep));
            matcher.missed(part, at(300 * part));
            came(&mut matcher, &format!("{}.tif", part + 1), at(300 * part + 150));
        }
        assert_eq!((matcher.backlog(), matcher.take_discarded(at(1400)).len()), (0, 1));
    }
}

#[test]
fn by_order_an_image_on_the_wrong_side_of_its_trigger_is_refused() {
    let (mut before, at) = in_step(Matching::ImageFirst);
    assert_eq!(before.take(1, at(0)), Err(NoImage::NotYet));
    came(&mut before, "2.tif", at(150));
    assert_eq!(before.take(1, at(0)), Err(NoImage::OutOfStep), "the image belongs to the next part");
    let (mut after, at) = in_step(Matching::TriggerFirst);
    came(&mut after, "0.tif", at(0));
    assert_eq!(after.take(1, at(150)), Err(NoImage::OutOfStep));
}

#[test]
fn by_order_a_pause_must_follow_a_start_and_each_doubt() {
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let mut matcher = Matcher::new(Matching::ImageFirst, LEAD, start);
    came(&mut matcher, "a.tif", at(600));
    assert_eq!(matcher.take(1, at(700)), Err(NoImage::OutOfStep));
    assert_eq!(paths(matcher.missed(1, at(700))), [PathBuf::from("a.tif")]);
    came(&mut matcher, "b.tif", at(1701));
    assert_eq!(path(matcher.take(2, at(1710))), Ok("b.tif".into()));
    // A trigger was refused while its image waited.
    came(&mut matcher, "c.tif", at(1800));
    matcher.doubt(at(1850));
    assert_eq!(paths(matcher.take_discarded(at(1850))), [PathBuf::from("c.tif")]);
    came(&mut matcher, "d.tif", at(1900));
    assert_eq!(matcher.take(4, at(1950)), Err(NoImage::OutOfStep));
    came(&mut matcher, "e.tif", at(2951));
    assert_eq!(path(matcher.take(5, at(2960))), Ok("e.tif".into()));
}

#[test]
fn by_order_an_image_without_a_trigger_breaks_the_order_until_a_pause() {
    let (mut matcher, at) = in_step(Matching::ImageFirst);
    came(&mut matcher, "1.tif", at(0));
    assert_eq!(paths(matcher.take_discarded(at(1001))), [PathBuf::from("1.tif")]);
    came(&mut matcher, "2.tif", at(1100));
    assert_eq!(matcher.take(1, at(1200)), Err(NoImage::OutOfStep), "else part 1 would get the image of part 2");
}

/// If the order still held, the late image of a part would be matched to the next part.
#[test]
fn by_order_a_missed_image_breaks_the_order_until_a_pause() {
    let (mut matcher, at) = in_step(Matching::TriggerFirst);
    assert_eq!(matcher.take(1, at(0)), Err(NoImage::NotYet));
    matcher.missed(1, at(500));
    came(&mut matcher, "late.tif", at(600));
    assert_eq!(matcher.take(2, at(700)), Err(NoImage::OutOfStep));
    assert_eq!(paths(matcher.missed(2, at(900))), [PathBuf::from("late.tif")]);
    assert_eq!(matcher.take(3, at(1901)), Err(NoImage::NotYet));
    came(&mut matcher, "3.tif", at(1950));
    assert_eq!(path(matcher.take(3, at(1901))), Ok("3.tif".into()));
}

#[test]
fn by_number_there_is_no_order_to_lose() {
    let now = Instant::now();
    let mut matcher = matcher(Matching::PartId, &[("1.tif", now), ("2.tif", now)]);
    matcher.doubt(now);
    assert_eq!(paths(matcher.missed(1, now)), [PathBuf::from("1.tif")]);
    assert_eq!(path(matcher.take(2, now)), Ok("2.tif".into()));
}

#[test]
fn a_rewritten_file_waits_once() {
    let now = Instant::now();
    let mut matcher = matcher(Matching::PartId, &[("5.tif", now), ("5.tif", now)]);
    assert_eq!((matcher.backlog(), path(matcher.take(5, now))), (1, Ok("5.tif".into())));
}

/// If one image counted as two, the second would wait for a trigger that never comes, and the archiver would not find its file.
#[test]
fn by_number_a_file_that_is_closed_twice_or_gone_is_not_a_second_image() {
    let now = Instant::now();
    let mut matcher = matcher(Matching::PartId, &[]);
    let first = arrival("5.tif", now);
    matcher.add(first.clone());
    assert_eq!(matcher.take(5, now), Ok(first.file.clone()));
    matcher.add(first.clone());
    assert_eq!(matcher.backlog(), 0, "closed twice");
    let gone = ImageFile { identity: None, ..first.file.clone() };
    matcher.add(Arrival { file: gone, at: now });
    assert_eq!(matcher.backlog(), 0, "closed again, and in the archive before that was noticed");
    let retake = Arrival { file: ImageFile { path: "5.tif".into(), ..file("another") }, at: now };
    matcher.add(retake.clone());
    assert_eq!(matcher.take(5, now), Ok(retake.file));
}

/// Regression: an image that was a hard link (`cp -l` makes these) was neither judged nor reported.
#[test]
fn by_number_a_hard_link_to_the_last_image_is_an_image_of_its_own() {
    let now = Instant::now();
    let mut matcher = matcher(Matching::PartId, &[]);
    let first = arrival("5.tif", now);
    matcher.add(first.clone());
    assert_eq!(matcher.take(5, now), Ok(first.file.clone()));
    let link = Arrival { file: ImageFile { path: "6.tif".into(), ..first.file }, at: now };
    matcher.add(link.clone());
    assert_eq!(matcher.take(6, now), Ok(link.file));
}

/// If the matcher left out an image that is gone, the next image would be matched to that image's trigger.
#[test]
fn by_order_an_image_that_is_gone_still_takes_its_turn() {
    let (mut matcher, at) = in_step(Matching::ImageFirst);
    matcher.add(Arrival { file: ImageFile::new("1.tif".into(), None), at: at(0) });
    came(&mut matcher, "2.tif", at(100));
    assert_eq!(matcher.take(1, at(150)), Err(NoImage::OutOfStep));
}

#[test]
fn at_most_max_waiting_images_wait() {
    let now = Instant::now();
    let names: Vec<String> = (0..MAX_WAITING + 3).map(|part| format!("{part}.tif")).collect();
    let arrivals: Vec<(&str, Instant)> = names.iter().map(|name| (name.as_str(), now)).collect();
    let mut matcher = matcher(Matching::PartId, &arrivals);
    assert_eq!(matcher.take_discarded(now).len(), 3);
    assert_eq!(matcher.take(0, now), Err(NoImage::NotYet));
    assert_eq!(path(matcher.take(3, now)), Ok("3.tif".into()));
}
