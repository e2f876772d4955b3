//! Makes the section "Configuration": the cross-validation's settings as a table and as JSON.

use super::analysis::Analysis;
use maud::{Markup, html};
use serde_json::Value;

pub(super) fn section(analysis: &Analysis<'_>) -> Markup {
    let config = &analysis.results.config;
    let mut settings = Vec::new();
    flatten("", config, &mut settings);
    html! {
        table.settings {
            tbody {
                @for (name, value) in &settings {
                    tr { th scope="row" { (name) } td { (value) } }
                }
                tr { th scope="row" { "data set digest" } td { code { (analysis.results.dataset.digest) } } }
            }
        }
        details {
            summary { "As JSON" }
            pre { (format!("{config:#}")) }
        }
    }
}

/// Flattens nested settings. A setting's name becomes its path in the JSON, joined with full stops. A list of plain values
/// is one setting; the elements of other lists are numbered from 0.
fn flatten(name: &str, value: &Value, settings: &mut Vec<(String, String)>) {
    let child = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(key, field)| flatten(&child(key), field, settings));
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().enumerate().for_each(|(index, item)| flatten(&child(&index.to_string()), item, settings));
        }
        Value::Array(items) => settings.push((name.into(), items.iter().map(plain).collect::<Vec<_>>().join(", "))),
        Value::Null if name.is_empty() => {}
        _ => settings.push((name.into(), plain(value))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_settings_get_dotted_names() {
        let config =
            serde_json::json!({"seed": 1, "size": [224, 224], "head": {"rate": 0.5, "l2": null}, "s": [{"a": true}]});
        let mut settings = Vec::new();
        flatten("", &config, &mut settings);
        settings.sort();
        let expected =
            [("head.l2", "none"), ("head.rate", "0.5"), ("s.0.a", "yes"), ("seed", "1"), ("size", "224, 224")];
        assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
