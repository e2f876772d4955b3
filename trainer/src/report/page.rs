//! Makes the frame of the report: HTML head, style, navigation and the sections in order.

use super::analysis::Analysis;
use super::{
    ReportOptions, bundles, comparison, configuration, glossary, headline, histogram, rates, reference, roc, suspects,
    table1, unlike,
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The content security policy. Nothing may be loaded or run; styles and images inside the file are allowed.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The whole report as an HTML document.
pub(super) fn page(analysis: &Analysis<'_>, options: &ReportOptions) -> Markup {
    let mut sections = vec![
        ("table1", "Balanced accuracy by bundle", table1::section(analysis)),
        ("comparison", "Paired comparison of the methods", comparison::section(analysis)),
        ("rates", "Escapes and overkill", rates::section(analysis)),
        ("roc", "ROC curves", roc::section(analysis)),
        ("scores", "Scores by class", histogram::section(analysis)),
        ("bundles", "Errors by bundle", bundles::section(analysis)),
        ("suspects", "Images that may be mislabelled", suspects::section(analysis, options)),
        ("method", "How the figures were made", glossary::method(analysis)),
        ("configuration", "Configuration", configuration::section(analysis)),
        ("glossary", "Glossary", glossary::section()),
    ];
    if let Some(content) = unlike::section(analysis) {
        sections.insert(3, ("unlike", "Parts unlike the training", content));
    }
    if let Some(content) = reference::section(analysis) {
        sections.insert(1, ("reference", "Reference parts", content));
    }
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (options.title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    (headline::section(analysis, &options.title))
                    nav aria-label="Sections" {
                        @for (id, heading, _) in &sections {
                            a href={ "#" (id) } { (heading) }
                        }
                    }
                    @for (id, heading, content) in &sections {
                        section id=(id) {
                            h2 { (heading) }
                            (content)
                        }
                    }
                }
            }
        }
    }
}
