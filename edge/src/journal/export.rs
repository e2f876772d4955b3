//! Formats a record for an export: as one row of a CSV file, or as one JSON object.

use super::columns::COLUMNS;
use super::fields::Exported;
use super::verdict_row::VerdictRow;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

/// A record as one CSV row or JSON object of an export, with its columns in the order of JOURNAL.md. New columns are only
/// added at the end.
#[derive(Debug, Clone, Copy)]
pub struct ExportLine<'r>(pub &'r VerdictRow);

impl<'r> ExportLine<'r> {
    /// The names of the columns.
    pub fn names() -> impl Iterator<Item = &'static str> {
        COLUMNS.iter().map(|column| column.exported_as)
    }

    /// The value in the column with this name; `None` if there is no such column.
    #[must_use]
    pub fn value(self, name: &str) -> Option<Exported<'r>> {
        COLUMNS.iter().find(|column| column.exported_as == name).map(|column| (column.export)(self.0))
    }
}

impl Serialize for ExportLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ExportLine", COLUMNS.len())?;
        for column in &COLUMNS {
            fields.serialize_field(column.exported_as, &(column.export)(self.0))?;
        }
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::tests::row;
    use super::*;

    /// Scripts read this format. Existing fields never change; a new column is appended.
    const GOLDEN: &str = r#"{"seq":258,"boot_epoch":3,"trigger":8,"kind":"FREE_RUNNING","part":18446744073709551611,"nonce":5,"deadline_ms":6,"received":"1970-01-01T00:00:00.007Z","committed":"1969-12-31T23:59:59.981Z","age_ms":13,"verdict":"REVIEW","reason":"SCORE_FROM_REVIEW","score":0.5,"model":"0909090909090909090909090909090909090909090909090909090909090909","image":null,"image_name":"10.tif","bounds_low":11,"bounds_high":12,"read_us":14,"convert_us":15,"infer_us":16,"decide_us":17,"simulated":true,"degraded":false,"detail":"eighteen","previous":"1414141414141414141414141414141414141414141414141414141414141414","hash":"0000000000000000000000000000000000000000000000000000000000000000"}"#;

    #[test]
    fn the_format_of_an_exported_record_does_not_change() {
        assert_eq!(serde_json::to_string(&ExportLine(&row())).unwrap(), GOLDEN);
        let mut table = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        table.write_record(ExportLine::names()).unwrap();
        table.serialize(ExportLine(&row())).unwrap();
        let table = String::from_utf8(table.into_inner().unwrap()).unwrap();
        let [header, line] = table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
        let fields: serde_json::Map<_, _> = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(header.split(',').collect::<Vec<_>>(), ExportLine::names().collect::<Vec<_>>());
        for (name, text) in header.split(',').zip(line.split(',')) {
            let field = &fields[name];
            let expected = field.as_str().map_or_else(|| field.to_string().replace("null", ""), str::to_owned);
            assert_eq!(text, expected, "{name}");
        }
    }
}
