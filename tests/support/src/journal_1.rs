//! A journal of schema 1, as SQL. The product writes schema 2 and takes journals of schema 1 over.

use cellgate_models::digest::Digest;
use std::fmt::Write as _;

/// The tables of schema 1, with an identity and a boot epoch. Never to be edited: journals have these texts.
pub const TABLES: &str = "
CREATE TABLE state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  identity BLOB NOT NULL CHECK (length(identity) = 16),
  boot_epoch INTEGER NOT NULL CHECK (boot_epoch BETWEEN 0 AND 4294967295),
  reopened INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, x'000102030405060708090a0b0c0d0e0f', 7, 0);

CREATE TABLE accepted (
  trigger_id INTEGER PRIMARY KEY AUTOINCREMENT,
  boot_epoch INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('PLC', 'FREE_RUNNING')),
  part INTEGER NOT NULL,
  nonce INTEGER NOT NULL CHECK (nonce BETWEEN 0 AND 4294967295),
  deadline_ms INTEGER NOT NULL CHECK (deadline_ms BETWEEN 0 AND 4294967295),
  received_unix_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE verdict (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  boot_epoch INTEGER NOT NULL,
  trigger_id INTEGER NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('PLC', 'FREE_RUNNING')),
  part INTEGER NOT NULL,
  nonce INTEGER NOT NULL,
  deadline_ms INTEGER NOT NULL,
  received_unix_ms INTEGER NOT NULL,
  committed_unix_ms INTEGER NOT NULL,
  age_ms INTEGER NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('PASS', 'REVIEW', 'REJECT')),
  reason TEXT NOT NULL,
  score REAL,
  bundle BLOB CHECK (length(bundle) = 32),
  image BLOB CHECK (length(image) = 32),
  image_name TEXT NOT NULL,
  bounds_low INTEGER,
  bounds_high INTEGER CHECK ((bounds_low IS NULL) = (bounds_high IS NULL)),
  read_us INTEGER NOT NULL,
  convert_us INTEGER NOT NULL,
  infer_us INTEGER NOT NULL,
  decide_us INTEGER NOT NULL,
  simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
  degraded INTEGER NOT NULL CHECK (degraded IN (0, 1)),
  detail TEXT NOT NULL,
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE unacknowledged (seq INTEGER PRIMARY KEY) STRICT;

CREATE TABLE anchor (
  number INTEGER PRIMARY KEY CHECK (number > 0),
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  first_kept INTEGER NOT NULL,
  last_pruned BLOB NOT NULL CHECK (length(last_pruned) = 32),
  pruned_rows INTEGER NOT NULL,
  pruned_unix_ms INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

PRAGMA application_id = 1128745521;
PRAGMA user_version = 1;
";

/// The identity in [`TABLES`].
const IDENTITY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// The part that is open in the journal of [`sql`].
pub const OPEN_PART: u64 = u64::MAX;
/// The rows of [`sql`] that retention removed.
pub const REMOVED: u64 = 5;

/// The SQL that makes a journal of schema 1 in WAL mode: the rows [`REMOVED`] + 1 to `newest` of the table `verdict`, an anchor for the
/// rows before them, and the open part [`OPEN_PART`]. The two newest rows are not acknowledged. `newest` must be above [`REMOVED`].
#[must_use]
pub fn sql(newest: u64) -> String {
    assert!(newest > REMOVED);
    let mut sql = format!("PRAGMA journal_mode = WAL;\nBEGIN;\n{TABLES}");
    let genesis = Digest::of(&[b"cellgate journal 1 genesis\0", &IDENTITY[..]].concat());
    let mut previous = genesis;
    for seq in 1..=newest {
        let (values, hash) = row(seq, previous);
        match seq {
            0..REMOVED => {}
            REMOVED => {
                let (first_kept, pruned_ms) = (REMOVED + 1, 5_000_i64);
                let mut bytes = b"cellgate journal 1 anchor\0".to_vec();
                bytes.extend_from_slice(genesis.as_bytes());
                bytes.extend_from_slice(&1_u64.to_le_bytes());
                bytes.extend_from_slice(&first_kept.to_le_bytes());
                bytes.extend_from_slice(hash.as_bytes());
                bytes.extend_from_slice(&REMOVED.to_le_bytes());
                bytes.extend_from_slice(&pruned_ms.to_le_bytes());
                let own = Digest::of(&bytes);
                let anchor = format!("1, x'{genesis}', {first_kept}, x'{hash}', {REMOVED}, {pruned_ms}, x'{own}'");
                writeln!(sql, "INSERT INTO anchor VALUES ({anchor});").unwrap();
            }
            _ => writeln!(sql, "INSERT INTO verdict VALUES ({values});").unwrap(),
        }
        previous = hash;
    }
    let (open, before) = (newest + 1, newest - 1);
    writeln!(sql, "INSERT INTO accepted VALUES ({open}, 7, 'PLC', {}, 3, 500, 1000);", OPEN_PART.cast_signed())
        .unwrap();
    writeln!(sql, "INSERT INTO unacknowledged VALUES ({before}), ({newest});").unwrap();
    sql + "COMMIT;\n"
}

/// The values of a row in SQL, and the row's hash.
fn row(seq: u64, previous: Digest) -> (String, Digest) {
    let optional = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => [&[1], bytes].concat(),
        None => vec![0],
    };
    let text = |text: &str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let has_score = !seq.is_multiple_of(4);
    let verdict = (seq % 3) as u8 + 1;
    let (name, reason) =
        [("PASS", "SCORE_BELOW_REVIEW"), ("REVIEW", "SCORE_FROM_REVIEW"), ("REJECT", "NO_IMAGE")][verdict as usize - 1];
    let kind = if seq.is_multiple_of(5) { ("FREE_RUNNING", 2) } else { ("PLC", 1) };
    let score = has_score.then_some((seq % 8) as f32 / 8.0);
    let (model, image) = (Digest::of(b"model"), Digest::of(&seq.to_le_bytes()));
    let bounds = has_score.then_some((1_700_u16, 2_800_u16));
    let committed = 2_000 + seq.cast_signed();
    let (image_name, detail) = (format!("{seq}.tif"), "text \u{e4}");
    let mut bytes = b"cellgate journal 1 row\0".to_vec();
    for part in [
        previous.as_bytes().to_vec(),
        seq.to_le_bytes().to_vec(),
        7_u32.to_le_bytes().to_vec(),
        seq.to_le_bytes().to_vec(),
        vec![kind.1],
        seq.to_le_bytes().to_vec(),
        3_u32.to_le_bytes().to_vec(),
        500_u32.to_le_bytes().to_vec(),
        1_000_i64.to_le_bytes().to_vec(),
        committed.to_le_bytes().to_vec(),
        40_u32.to_le_bytes().to_vec(),
        vec![verdict],
        text(reason),
        optional(score.map(|score| score.to_bits().to_le_bytes()).as_ref().map(|bits| &bits[..])),
        optional(Some(model.as_bytes())),
        optional(Some(image.as_bytes())),
        text(&image_name),
        optional(bounds.map(|(low, high)| [low.to_le_bytes(), high.to_le_bytes()].concat()).as_deref()),
        [1_u32, 2, 3, 4].iter().flat_map(|us| us.to_le_bytes()).collect(),
        vec![0b10],
        text(detail),
    ] {
        bytes.extend_from_slice(&part);
    }
    let hash = Digest::of(&bytes);
    let null = || "NULL".to_owned();
    let values = [
        format!("{seq}, 7, {seq}, '{}', {seq}, 3, 500, 1000, {committed}, 40, '{name}', '{reason}'", kind.0),
        score.map_or_else(null, |score| score.to_string()),
        format!("x'{model}', x'{image}', '{image_name}'"),
        bounds.map_or_else(|| "NULL, NULL".to_owned(), |(low, high)| format!("{low}, {high}")),
        format!("1, 2, 3, 4, 0, 1, '{detail}', x'{previous}', x'{hash}'"),
    ];
    (values.join(", "), hash)
}
