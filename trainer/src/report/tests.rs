//! Tests the report with artificial results: some like the paper's, and some extreme (tiny, huge, of one class, with
//! hostile names).

use super::*;
use crate::dataset::Label;
use crate::results::{BundleResults, DatasetSummary, LeftOutKind, MethodResults, UnlikeTraining};
use crate::stats::{BundleBootstrap, BundleRanks, Rate, Scored, log_odds};
use cellgate_models::digest::Digest;
use cellgate_models::radiograph::{self, Radiograph};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Numbers of normal and abnormal parts in each bundle. In total they are 562 and 152. Three bundles have one
/// class only.
const PAPER_LIKE: [(usize, usize); 12] =
    [(32, 8), (2, 12), (40, 0), (104, 37), (64, 4), (88, 31), (72, 23), (4, 0), (20, 10), (0, 12), (84, 2), (52, 13)];

fn uniform(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.next_u32()) / f64::from(u32::MAX)
}

/// A random number, approximately normally distributed with mean 0 and standard deviation 1.
fn noise(random: &mut ChaCha8Rng) -> f64 {
    (0..6).map(|_| uniform(random) - 0.5).sum::<f64>() * 2.0_f64.sqrt()
}

/// Artificial results for `bundles` (name, number of normal parts, number of abnormal parts). Each part has a difficulty
/// that is the same for all methods, and the scores of a bundle are all shifted by the same amount. 3 % of the parts are
/// mislabelled: they have scores like the other class.
fn made_up_results(bundles: &[(String, usize, usize)], methods: &[&str]) -> (Results, Vec<Prediction>) {
    let mut random = ChaCha8Rng::seed_from_u64(12);
    // Bundle, image, label and log odds of each part.
    let mut parts = Vec::new();
    for (name, normal, abnormal) in bundles {
        let shift = 0.5 * noise(&mut random);
        for index in 0..normal + abnormal {
            let label = if index < *normal { Label::Normal } else { Label::Abnormal };
            let mislabelled = uniform(&mut random) < 0.03;
            let centre = if (label == Label::Abnormal) == mislabelled { -1.6 } else { 1.1 };
            parts.push((name, format!("{name}/part{index:03}.tif"), label, centre + shift + 0.9 * noise(&mut random)));
        }
    }
    let mut predictions = Vec::new();
    let mut summaries = Vec::new();
    for (index, method) in methods.iter().enumerate() {
        let own_noise = 0.5 + 0.25 * index as f64;
        let scores: Vec<f64> =
            parts.iter().map(|part| 1.0 / (1.0 + (-part.3 - own_noise * noise(&mut random)).exp())).collect();
        let scored = |wanted: &String| -> Vec<Scored> {
            let of_bundle = parts.iter().zip(&scores).filter(|(part, _)| wanted == part.0);
            of_bundle.map(|(part, &score)| Scored { score, label: part.2 }).collect()
        };
        let ranks = BundleRanks::of(&bundles.iter().map(|(name, ..)| scored(name)).collect::<Vec<_>>());
        let tables = bundles
            .iter()
            .map(|(name, ..)| BundleResults::at_threshold(name, &scored(name), 0.32 + 0.16 * uniform(&mut random)))
            .collect();
        summaries.push(MethodResults::summarise(method, tables, &ranks, &BundleBootstrap::default()));
        predictions.extend(parts.iter().zip(&scores).map(|(part, &score)| Prediction {
            image: part.1.clone(),
            bundle: part.0.clone(),
            label: part.2,
            method: (*method).into(),
            score,
            reference: Prediction::NO_REFERENCE.into(),
            draw: 0,
            raw_logit: log_odds(score),
            offset: 0.0,
            distance: 1.0,
        }));
    }
    let normal = bundles.iter().map(|bundle| bundle.1).sum();
    let abnormal = bundles.iter().map(|bundle| bundle.2).sum();
    let dataset = DatasetSummary {
        images: normal + abnormal,
        bundles: bundles.len(),
        normal,
        abnormal,
        digest: Digest::of(b"made up"),
    };
    let config = serde_json::json!({
        "recipe": "recommended", "methods": methods, "size": {"height": 2000, "width": 1000}, "seed": 1,
        "bounds": "training", "head": {"ensemble": 5, "l2": 0.01, "stages": [2, 3, 4]},
    });
    (Results { dataset, config, methods: summaries }, predictions)
}

/// The bundles of [`PAPER_LIKE`], with names.
fn paper_like() -> Vec<(String, usize, usize)> {
    let numbered = PAPER_LIKE.iter().enumerate();
    numbered.map(|(index, &(normal, abnormal))| (format!("bundle {}", index + 1), normal, abnormal)).collect()
}

const METHODS: [&str; 8] = ["naive", "global", "local", "mixed", "equalize", "clahe", "dhe", "linear16"];

fn render(results: &Results, predictions: &[Prediction], options: &ReportOptions) -> Result<String, ReportError> {
    Ok(Report::new(results, predictions)?.html(options))
}

/// Renders a report and checks what must hold for every report: nothing is loaded, and each opened tag is closed. Saves
/// the report if the environment variable `CELLGATE_REPORTS` names a folder.
fn rendered(name: &str, results: &Results, predictions: &[Prediction], options: &ReportOptions) -> String {
    let html = render(results, predictions, options).unwrap();
    if let Some(folder) = std::env::var_os("CELLGATE_REPORTS") {
        std::fs::write(Path::new(&folder).join(format!("{name}.html")), &html).unwrap();
    }
    for foreign in ["<script", "http://", "https://", "NaN", "inf%", "url(", "@import", "<link"] {
        assert!(!html.contains(foreign), "{name}: {foreign}");
    }
    for tag in ["table", "svg", "section", "div", "figure", "tr", "td", "article", "p"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{name}: {tag}");
    }
    html
}

/// The visible text of a report without the plots. Each block element becomes one line of text.
fn visible_text(html: &str) -> String {
    let mut text = String::new();
    let mut hidden = 0;
    for piece in html.split('<').skip(1) {
        let (tag, content) = piece.split_once('>').unwrap();
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap();
        match (name, tag.starts_with('/')) {
            ("head" | "svg", false) => hidden += 1,
            ("head" | "svg", true) => hidden -= 1,
            ("b" | "code", _) => {}
            ("br" | "span", _) => text.push(' '),
            _ => text.push('\n'),
        }
        if hidden == 0 {
            text.push_str(content);
        }
    }
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(words).filter(|line| !line.is_empty()).map(|line| line + "\n").collect()
}

#[test]
fn the_texts_of_a_small_report_match_the_snapshot() {
    let bundles = [("first".to_owned(), 9, 5), ("second".to_owned(), 8, 6), ("third".to_owned(), 7, 0)];
    let (mut results, predictions) = made_up_results(&bundles, &METHODS[..2]);
    results.config["leaks"] = 1.into();
    let options = ReportOptions { suspects: 1, ..ReportOptions::default() };
    insta::assert_snapshot!("small_report", visible_text(&rendered("small", &results, &predictions, &options)));
}

#[test]
fn parts_unlike_the_training_have_a_section_if_there_are_figures() {
    let (mut results, predictions) = made_up_results(&paper_like(), &METHODS[..2]);
    let id = "id=\"unlike\"";
    assert!(!rendered("no-distances", &results, &predictions, &ReportOptions::default()).contains(id));
    let rate = |count, of| Rate::new(count, of);
    results.methods[0].unlike_training = Some(UnlikeTraining { false_reviews: rate(4, 480), caught: rate(3, 21) });
    results.methods[1].unlike_training = Some(UnlikeTraining { false_reviews: rate(0, 460), caught: None });
    let kind = |kind: &str, parts: u64| LeftOutKind {
        kind: kind.into(),
        parts,
        caught_when_trained: rate(parts, parts),
        caught_by_score: rate(parts / 3, parts),
        caught_by_score_or_distance: rate(parts / 2, parts),
        false_reviews: rate(parts, 50 * parts),
    };
    results.methods[0].left_out_kinds = vec![kind("bubbles", 12), kind("ink entry/exit", 0), kind("lines", 9)];
    let html = rendered("distances", &results, &predictions, &ReportOptions::default());
    let start = html.find(&format!("<section {id}")).unwrap();
    let section = &html[start..start + html[start..].find("</section>").unwrap()];
    insta::assert_snapshot!("unlike", visible_text(section));
}

#[test]
fn results_like_the_paper_s_have_all_sections_and_figures() {
    let (results, predictions) = made_up_results(&paper_like(), &METHODS[..4]);
    let folder = tempfile::tempdir().unwrap();
    // Every second image exists, and the other images are missing.
    for (index, row) in predictions.iter().take(results.dataset.images).enumerate().filter(|(index, _)| index % 2 == 0)
    {
        let path = folder.path().join(&row.image);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let levels = (0..60 * 100).map(|pixel| 1700 + (pixel % 60 * 15 + pixel / 60 * index % 211) as u16).collect();
        radiograph::write(&path, &Radiograph::new(60, 100, levels).unwrap()).unwrap();
    }
    let options = ReportOptions { dataset_root: Some(folder.path().into()), ..ReportOptions::default() };
    let html = rendered("paper-like", &results, &predictions, &options);
    for (method, overall) in results.methods.iter().map(|method| (&method.method, &method.overall)) {
        assert!(html.contains(&format!("<b>{method}</b>")), "{method}");
        assert!(html.contains(&format!("{:.2}</td>", overall.balanced_accuracy.unwrap() * 100.0)), "{method}");
        assert!(html.contains(&format!("AUROC {:.1} %", overall.auroc.unwrap() * 100.0)), "{method}");
    }
    assert_eq!(html.matches("<td class=\"none\">n/a</td>").count(), 3 * 4, "three bundles of one class");
    assert_eq!(html.matches("class=\"operating\"").count(), 4);
    assert_eq!(html.matches("<article").count(), 24);
    assert!(html.contains("src=\"data:image/png;base64,") && html.contains("class=\"placeholder no-preview\""));
    assert!(!html.contains(&folder.path().display().to_string()), "the report names a folder of this machine");
    // 85.18 is the paper's figure for the global conversion.
    assert!(html.contains("85.18") && html.contains("class=\"apart\""));
    // 152 of 714 parts, 21.3 %, are abnormal.
    for count in ["562", "152", "21.3"] {
        assert!(visible_text(&html).contains(count), "{count}");
    }
}

#[test]
fn one_to_eight_methods_and_two_to_thirty_bundles_can_be_shown() {
    for methods in [1, 2, 8] {
        let (results, predictions) = made_up_results(&paper_like(), &METHODS[..methods]);
        let html = rendered(&format!("methods-{methods}"), &results, &predictions, &ReportOptions::default());
        assert_eq!(html.matches("td class=\"bar\"").count(), methods * (methods - 1) / 2);
    }
    for bundles in [2, 30] {
        let list: Vec<_> = (0..bundles).map(|index| (format!("{index}"), 3 + index % 5, 1 + index % 3)).collect();
        let (results, predictions) = made_up_results(&list, &METHODS[..2]);
        let html = rendered(&format!("bundles-{bundles}"), &results, &predictions, &ReportOptions::default());
        assert_eq!(html.contains("id=\"few-bundles\""), bundles == 2);
    }
}

#[test]
fn results_of_one_class_or_of_nothing_can_be_shown() {
    let list = vec![("a".to_owned(), 5, 0), ("b".to_owned(), 4, 0)];
    let (results, predictions) = made_up_results(&list, &METHODS[..2]);
    let html = rendered("one-class", &results, &predictions, &ReportOptions::default());
    assert_eq!(html.matches("class=\"placeholder no-curve\"").count(), 2);
    let (results, predictions) = made_up_results(&[], &METHODS[..1]);
    rendered("no-bundles", &results, &predictions, &ReportOptions::default());
    let (results, predictions) = made_up_results(&paper_like(), &[]);
    let html = rendered("no-methods", &results, &predictions, &ReportOptions::default());
    assert!(html.contains("id=\"no-methods\""));
}

#[test]
fn hostile_names_are_text() {
    let hostile = "</td><img src=x onerror=alert(1)>\"'&<svg onload=alert(2)>";
    let long =
        "a bundle with a very long name, as line operators like to give them, 2026-11-23 second shift ".repeat(3);
    let list = vec![(hostile.to_owned(), 9, 9), (long, 9, 9)];
    let (mut results, predictions) = made_up_results(&list, &["naive", hostile]);
    results.config = serde_json::json!({ hostile: [hostile, {"</pre><b>": hostile}] });
    let options = ReportOptions { title: hostile.into(), ..ReportOptions::default() };
    let html = rendered("hostile", &results, &predictions, &options);
    for raw in ["<img src=x", "<svg onload", "</pre><b>", "&<"] {
        assert!(!html.contains(raw), "{raw}");
    }
    assert!(html.contains("&lt;/td&gt;&lt;img src=x onerror=alert(1)&gt;&quot;"));
}

#[test]
fn a_score_that_is_not_a_number_counts_as_called_abnormal() {
    let (_, mut predictions) = made_up_results(&[("a".into(), 3, 2), ("b".into(), 3, 2)], &["local"]);
    predictions[0].score = f64::NAN;
    let scored = |bundle: &str| -> Vec<Scored> {
        let rows = predictions.iter().filter(|row| row.bundle == bundle);
        rows.map(|row| Scored { score: row.score, label: row.label }).collect()
    };
    let bundles =
        vec![BundleResults::at_threshold("a", &scored("a"), 0.5), BundleResults::at_threshold("b", &scored("b"), 0.5)];
    let ranks = BundleRanks::of(&[scored("a"), scored("b")]);
    let (mut results, _) = made_up_results(&[("a".into(), 3, 2), ("b".into(), 3, 2)], &["local"]);
    results.methods = vec![MethodResults::summarise("local", bundles, &ranks, &BundleBootstrap::default())];
    let html = render(&results, &predictions, &ReportOptions::default()).unwrap();
    assert!(html.contains(&format!("<td class=\"wrong\">{}</td>", format::score(f64::NAN))));
}

#[test]
fn a_path_outside_the_data_set_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let options = ReportOptions { dataset_root: Some(folder.path().join("data")), ..ReportOptions::default() };
    radiograph::write(&folder.path().join("secret.tif"), &Radiograph::new(2, 2, vec![1, 2, 3, 4]).unwrap()).unwrap();
    let absolute = folder.path().join("secret.tif").display().to_string();
    std::fs::create_dir_all(folder.path().join("data/x")).unwrap();
    std::fs::copy(folder.path().join("secret.tif"), folder.path().join("data/open.tif")).unwrap();
    assert!(thumbnail::data_address("open.tif", &options).is_ok());
    for name in ["../secret.tif", "x/../../secret.tif", absolute.as_str()] {
        assert!(thumbnail::data_address(name, &options).is_err(), "{name}");
    }
}

#[test]
fn results_and_predictions_of_two_cross_validations_are_refused() {
    let (results, predictions) = made_up_results(&paper_like(), &METHODS[..2]);
    let changes: [fn(&mut Vec<Prediction>); 5] = [
        |rows| rows[..40].iter_mut().for_each(|row| row.score = 0.0),
        |rows| rows[0].method = "other".into(),
        |rows| rows.push(rows[3].clone()),
        |rows| rows[0].label = Label::Abnormal,
        |rows| rows.truncate(700),
    ];
    let errors = changes.iter().map(|change| {
        let mut changed = predictions.clone();
        change(&mut changed);
        format!("{}\n", render(&results, &changed, &ReportOptions::default()).unwrap_err())
    });
    insta::assert_snapshot!("errors", errors.collect::<String>());
}

#[test]
fn a_folder_of_results_gives_the_same_report_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let (results, predictions) = made_up_results(&paper_like(), &METHODS[..2]);
    results.write(folder.path()).unwrap();
    Prediction::write_all(&predictions, folder.path()).unwrap();
    let direct = render(&results, &predictions, &ReportOptions::default()).unwrap();
    assert_eq!(from_folder(folder.path(), &ReportOptions::default()).unwrap(), direct);
    assert!(matches!(
        from_folder(&folder.path().join("none"), &ReportOptions::default()),
        Err(ReportError::Results(_))
    ));
}

#[test]
fn random_folds_give_a_warning() {
    let (mut results, predictions) = made_up_results(&paper_like(), &["global"]);
    let (meaning, warning) = ("id=\"meaning\"", "id=\"random-folds\"");
    let html = rendered("bundles", &results, &predictions, &ReportOptions::default());
    assert!(html.contains(meaning) && !html.contains(warning));
    results.config["folds"] = "random".into();
    let html = rendered("random", &results, &predictions, &ReportOptions::default());
    assert!(!html.contains(meaning) && html.contains(warning));
    insta::assert_snapshot!("random_folds", paragraph(&html, "random-folds"));
}

#[test]
fn allowed_leaks_give_a_warning() {
    let (mut results, predictions) = made_up_results(&paper_like(), &["global"]);
    assert!(!rendered("no-leaks", &results, &predictions, &ReportOptions::default()).contains("id=\"leaks\""));
    results.config["leaks"] = 2.into();
    let html = rendered("leaks", &results, &predictions, &ReportOptions::default());
    insta::assert_snapshot!("leaks", paragraph(&html, "leaks"));
}

/// The visible text of the paragraph with this `id`.
fn paragraph(html: &str, id: &str) -> String {
    let start = html.find(&format!("id=\"{id}\"")).unwrap();
    let start = html[..start].rfind('<').unwrap();
    visible_text(&html[start..start + html[start..].find("</p>").unwrap()])
}
