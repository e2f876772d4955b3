//! Reads a data set's `manifest.csv`.

use super::entry::{Entry, MANIFEST};
use super::locate::Locator;
use super::names::{BundleNames, composed};
use super::{DatasetError, Label};
use std::collections::HashMap;
use std::path::{Component, Path};

/// Prefix of the name of a column that holds the labels of one annotator.
const EXPERT_PREFIX: &str = "expert_";

/// Indices of the columns that are read. Other columns are ignored.
struct Columns {
    image: usize,
    bundle: usize,
    label: usize,
    anomalies: Option<usize>,
    masks: Option<usize>,
    /// The columns of the annotators, each with its name.
    experts: Vec<(usize, String)>,
}

/// The path of the manifest and the number of a line of text in it, for errors.
struct Place<'a> {
    path: &'a Path,
    line: u64,
}

impl Place<'_> {
    fn error(&self, column: &str, found: impl Into<String>, expected: impl Into<String>) -> DatasetError {
        DatasetError::Manifest {
            path: self.path.to_owned(),
            line: self.line,
            column: column.to_owned(),
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// The error for a row that the CSV reader refused, such as one with too few columns. The column `*` stands for the whole row,
    /// and `#2` stands for the second column.
    fn csv_error(&self, error: csv::Error) -> DatasetError {
        match error.into_kind() {
            csv::ErrorKind::Io(source) => DatasetError::io(self.path, source),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                self.error("*", format!("{len} columns"), format!("{expected_len} columns, as in line 1"))
            }
            csv::ErrorKind::Utf8 { err, .. } => {
                self.error(&format!("#{}", err.field() + 1), "bytes that are not UTF-8", "text in UTF-8")
            }
            _ => self.error("*", "a row that is not CSV", "comma-separated values as in RFC 4180"),
        }
    }

    fn label(&self, column: &str, text: &str) -> Result<Label, DatasetError> {
        text.parse().map_err(|_| self.error(column, quoted(text), "`normal` or `abnormal`"))
    }
}

/// Reads the manifest in the folder `root`. Returns its images, and the names of bundles that it writes in two Unicode forms.
pub(super) fn read(root: &Path) -> Result<(Vec<Entry>, Vec<String>), DatasetError> {
    let path = &root.join(MANIFEST);
    let bytes = std::fs::read(path).map_err(|source| DatasetError::io(path, source))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice());
    let header = Place { path, line: 1 };
    let names = reader.headers().map_err(|error| header.csv_error(error))?.clone();
    let columns = columns(&names, &header)?;

    let (mut entries, mut bundles) = (Vec::new(), BundleNames::default());
    let (mut line_of_image, mut locator) = (HashMap::new(), Locator::new(root));
    let mut row = csv::StringRecord::new();
    loop {
        let place = Place { path, line: line_after(&bytes, reader.position()) };
        if !reader.read_record(&mut row).map_err(|error| place.csv_error(error))? {
            break;
        }
        let mut entry = entry(&row, &columns, &place)?;
        if let Some(first) = line_of_image.insert(composed(&entry.image), place.line) {
            let found = format!("{} a second time", quoted(&entry.image));
            return Err(place.error("image", found, format!("each image once; the first is in line {first}")));
        }
        entry.image = locator.on_disk(&entry.image);
        entry.bundle = bundles.composed(&entry.bundle);
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(header.error("image", "no images", "at least one line after the column names"));
    }
    Ok((entries, bundles.in_two_forms()))
}

/// The line number of the next row. The reader skips empty lines of text, so those after `position` are counted here.
fn line_after(bytes: &[u8], position: &csv::Position) -> u64 {
    let rest = usize::try_from(position.byte()).ok().and_then(|byte| bytes.get(byte..)).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + empty.filter(|byte| **byte == b'\n').count() as u64
}

/// Finds the columns by their names in line 1.
fn columns(names: &csv::StringRecord, place: &Place<'_>) -> Result<Columns, DatasetError> {
    let find = |name: &str| {
        let mut found = names.iter().enumerate().filter(|(_, other)| *other == name).map(|(index, _)| index);
        match (found.next(), found.next()) {
            (_, Some(second)) => {
                Err(place.error(name, format!("the name again in column {}", second + 1), "each name once"))
            }
            (first, None) => Ok(first),
        }
    };
    let need = |name: &str| {
        find(name)?.ok_or_else(|| {
            let found = names.iter().collect::<Vec<_>>().join(",");
            let expected = if names.len() == 1 && found.contains([';', '\t']) {
                "columns separated by commas, at least `image`, `bundle` and `label`"
            } else {
                "at least `image`, `bundle` and `label`"
            };
            place.error(name, format!("the columns {}", quoted(&found)), expected)
        })
    };
    let expert_names = names.iter().filter(|name| name.starts_with(EXPERT_PREFIX));
    let experts = expert_names
        .map(|name| find(name).map(|index| index.map(|index| (index, name.to_owned()))))
        .filter_map(Result::transpose)
        .collect::<Result<_, _>>()?;
    Ok(Columns {
        image: need("image")?,
        bundle: need("bundle")?,
        label: need("label")?,
        anomalies: find("anomalies")?,
        masks: find("masks")?,
        experts,
    })
}

/// Reads one row. An annotator's empty cell means that the annotator did not judge the part.
fn entry(row: &csv::StringRecord, columns: &Columns, place: &Place<'_>) -> Result<Entry, DatasetError> {
    let cell = |index: usize| row.get(index).unwrap_or_default();
    let image = cell(columns.image);
    check_image(image, place)?;
    let bundle = cell(columns.bundle);
    if bundle.is_empty() {
        return Err(place.error("bundle", "nothing", "the bundle's name"));
    }
    let label = place.label("label", cell(columns.label))?;
    let anomalies: Vec<_> = match columns.anomalies.map(cell) {
        None | Some("") => Vec::new(),
        Some(text) => text.split(';').map(|name| name.trim().to_owned()).collect(),
    };
    if anomalies.iter().any(String::is_empty) {
        let found = quoted(columns.anomalies.map_or("", cell));
        return Err(place.error("anomalies", found, "names of anomalies separated by `;`, or nothing"));
    }
    let judged = columns.experts.iter().filter(|(index, _)| !cell(*index).is_empty());
    let experts = judged
        .map(|(index, name)| Ok((name.clone(), place.label(name, cell(*index))?)))
        .collect::<Result<_, DatasetError>>()?;
    let masks = columns.masks.map(|index| cell(index).to_owned());
    Ok(Entry { image: image.to_owned(), bundle: bundle.to_owned(), label, anomalies, masks, experts })
}

/// Refuses a path that leaves the data set's folder or that is not in its normal form: each image must have only one path.
fn check_image(image: &str, place: &Place<'_>) -> Result<(), DatasetError> {
    let is_plain = !image.contains(['\\', '\0'])
        && image.split('/').all(|piece| !piece.is_empty() && piece != ".")
        && Path::new(image).components().all(|component| matches!(component, Component::Normal(_)));
    if is_plain {
        return Ok(());
    }
    let found = if image.is_empty() { "nothing".into() } else { quoted(image) };
    Err(place.error("image", found, "a path relative to the data set's folder, with `/` and without `.` or `..`"))
}

/// `text` for an error message: in backquotes, without line breaks, at most 80 characters.
fn quoted(text: &str) -> String {
    let cut: String =
        text.chars().take(80).map(|character| if character.is_control() { '?' } else { character }).collect();
    format!("`{cut}`")
}
