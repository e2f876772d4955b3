//! Formats a row or an event for an export: as one line of a CSV file, or as one JSON object.

use super::column::Column;
use super::columns;
use super::event::EventRow;
use super::event_columns::EVENT_COLUMNS;
use super::exported::Exported;
use super::verdict_row::VerdictRow;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// A row or an event as one CSV line or JSON object of an export, with its columns in the order of JOURNAL.md. New columns are only
/// added at the end.
#[derive(Debug, Clone)]
pub struct ExportLine<'r>(Vec<(&'static str, Exported<'r>)>);

impl<'r> From<&'r VerdictRow> for ExportLine<'r> {
    fn from(row: &'r VerdictRow) -> Self {
        Self(columns::exported(row).collect())
    }
}

impl<'r> From<&'r EventRow> for ExportLine<'r> {
    fn from(event: &'r EventRow) -> Self {
        Self(EVENT_COLUMNS.iter().map(|column| (column.exported_as, (column.export)(event))).collect())
    }
}

impl<'r> ExportLine<'r> {
    /// The value in the column with this name; `None` if there is no such column.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Exported<'r>> {
        self.0.iter().find(|(column, _)| *column == name).map(|(_, value)| value)
    }

    /// The values of a line of a CSV file.
    pub fn csv(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(_, value)| value.csv())
    }
}

/// The names of the columns of an exported row.
#[must_use]
pub fn exported_row_columns() -> Vec<&'static str> {
    names(&columns::COLUMNS)
}

/// The names of the columns of an exported event.
#[must_use]
pub fn exported_event_columns() -> Vec<&'static str> {
    names(&EVENT_COLUMNS)
}

fn names<R>(columns: &[Column<R>]) -> Vec<&'static str> {
    columns.iter().map(|column| column.exported_as).collect()
}

impl Serialize for ExportLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            fields.serialize_entry(name, value)?;
        }
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::event;
    use super::super::hash::tests::{row, row_of_form_1};
    use super::*;

    // Scripts read these formats. Existing fields never change; a new column is appended.
    const GOLDEN_1: &str = r#"{"seq":258,"boot_epoch":3,"trigger":8,"kind":"FREE_RUNNING","part":18446744073709551611,"nonce":5,"deadline_ms":6,"received":"1970-01-01T00:00:00.007Z","committed":"1969-12-31T23:59:59.981Z","age_ms":13,"verdict":"REVIEW","reason":"SCORE_FROM_REVIEW","score":0.5,"model":"0909090909090909090909090909090909090909090909090909090909090909","image":null,"image_name":"10.tif","bounds_low":11,"bounds_high":12,"read_us":14,"convert_us":15,"infer_us":16,"decide_us":17,"simulated":true,"degraded":false,"detail":"eighteen","previous":"1414141414141414141414141414141414141414141414141414141414141414","hash":"0000000000000000000000000000000000000000000000000000000000000000""#;
    const MORE_1: &str = r#","form":1,"bundle":null,"raw_logit":null,"offset":null,"review_from":null,"reject_from":null,"slope":null,"intercept":null,"distance":null,"largest_distance":null,"regions":null,"features":null}"#;
    const MORE_2: &str = r#","form":2,"bundle":4294967295,"raw_logit":-1.25,"offset":0.1,"review_from":-2.5,"reject_from":3.5,"slope":0.75,"intercept":0.3,"distance":21.5,"largest_distance":22.5,"regions":[{"height":26,"peak":{"x":28,"y":29},"share":0.75,"width":25,"x":23,"y":24}],"features":"0000f441000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"}"#;
    const EVENT: &str = r#"{"number":258,"committed":"1969-12-31T23:59:59.997Z","boot_epoch":4,"kind":"OFFSET","bundle":5,"model":"0606060606060606060606060606060606060606060606060606060606060606","model_before":null,"who":"seven","why":"eight","figures":{"nine":10},"newest_seq":11,"newest_hash":"0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c","previous":"0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d","hash":"0000000000000000000000000000000000000000000000000000000000000000"}"#;

    #[test]
    fn the_format_of_an_exported_record_does_not_change() {
        let json = |line: &ExportLine<'_>| serde_json::to_string(line).unwrap();
        let (one, two, event) = (row_of_form_1(), row(), event());
        let lines = [
            (ExportLine::from(&one), exported_row_columns(), format!("{GOLDEN_1}{MORE_1}")),
            (ExportLine::from(&two), exported_row_columns(), format!("{GOLDEN_1}{MORE_2}")),
            (ExportLine::from(&event), exported_event_columns(), EVENT.to_owned()),
        ];
        for (line, columns, golden) in lines {
            assert_eq!(json(&line), golden);
            let fields: serde_json::Map<_, _> = serde_json::from_str(&golden).unwrap();
            assert_eq!((columns.len(), line.csv().count()), (fields.len(), fields.len()));
            for (name, text) in columns.into_iter().zip(line.csv()) {
                let found = match &fields[name] {
                    serde_json::Value::Array(_) | serde_json::Value::Object(_) => serde_json::from_str(&text).unwrap(),
                    _ if text.is_empty() => serde_json::Value::Null,
                    serde_json::Value::String(_) => text.into(),
                    _ => serde_json::from_str(&text).unwrap(),
                };
                assert_eq!(found, fields[name], "{name}");
            }
        }
    }
}
