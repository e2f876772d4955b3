//! Compares the names of bundles: finds names in several Unicode forms, and names that look alike.
//!
//! Two names with the same composed form (NFC, Unicode Standard Annex 15) are the same name. A reader can't distinguish them, and
//! a Mac writes `ü` as two characters where Linux writes one.
//!
//! Two names that only look alike stay two names and are reported. Names look alike if they differ only in:
//! - case, spaces, `_`, hyphens, characters without width, full-width letters
//! - full stops and commas, zeros before or after a number (`1`, `01`, `1.0`)
//! - `1`, `I` and `l`, or `0` and `O`
//! - letters of other scripts (Unicode Technical Standard 39, from the crate `unicode-security`)
//!
//! Names do not look alike, in spite of this list, if they differ in one of these ways:
//! - a separator between two digits: `1.5` and `15`, `1 1` and `11` (but `1.5` and `1,5` look alike)
//! - at the start or end, a hyphen: `A-` and `A`; at the start, a full stop before a digit: `.5` and `5`
//! - zeros in a fraction with other digits: `0.05` and `0.5`, `1.10` and `1.1`

use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::confusable_detection::skeleton;

/// `name` in composed Unicode form (NFC), the form in which names are compared.
pub(crate) fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// Brings the names of bundles into composed form, and remembers the names that were written in two forms.
#[derive(Debug, Default)]
pub(super) struct BundleNames {
    /// For each composed name, the form in which it was first written, and whether another form occurred.
    written: BTreeMap<String, (String, bool)>,
}

impl BundleNames {
    /// The composed form of the bundle's name `written`.
    pub(super) fn composed(&mut self, written: &str) -> String {
        let composed = composed(written);
        let (first, again) = self.written.entry(composed.clone()).or_insert_with(|| (written.to_owned(), false));
        *again |= first != written;
        composed
    }

    /// The names that were written in two forms.
    pub(super) fn in_two_forms(self) -> Vec<String> {
        self.written.into_iter().filter(|(_, (_, again))| *again).map(|(composed, _)| composed).collect()
    }
}

/// A function that returns the same text for names that look alike in one respect.
struct Key {
    of: fn(&str) -> String,
    /// Whether the function may compare two ASCII names. A function that uses Unicode's skeleton may not, because `rn` and `m` have
    /// the same skeleton.
    in_ascii: bool,
}

/// Two names look alike if one of these functions returns the same text for both.
const KEYS: [Key; 5] = [
    Key { of: folded, in_ascii: true },
    Key { of: without_points, in_ascii: true },
    Key { of: with_digits_for_letters, in_ascii: true },
    Key { of: |name| skeleton(&folded(name)).collect(), in_ascii: false },
    // Takes the skeleton before case is folded: more capitals than small letters of Greek and Cyrillic look like Latin letters.
    Key { of: |name| folded(&skeleton(&joined(&plain(name))).collect::<String>()), in_ascii: false },
];

/// Finds groups of two or more `names` that look alike. The groups are in the order of their first names.
pub(super) fn look_alikes<'a>(names: &[&'a str]) -> Vec<Vec<&'a str>> {
    // The group of each name, as the index of one name in the group.
    let mut group: Vec<usize> = (0..names.len()).collect();
    for key in KEYS {
        let mut same = BTreeMap::<String, Vec<usize>>::new();
        for (index, name) in names.iter().enumerate() {
            same.entry((key.of)(name)).or_default().push(index);
        }
        for alike in same.into_values().filter(|alike| alike.len() > 1) {
            if key.in_ascii || alike.iter().any(|&index| !names[index].is_ascii()) {
                let to_merge: Vec<usize> = alike.iter().map(|&index| group[index]).collect();
                group.iter_mut().filter(|group| to_merge.contains(group)).for_each(|group| *group = to_merge[0]);
            }
        }
    }
    let mut groups = BTreeMap::<usize, (usize, Vec<&str>)>::new();
    for (index, group) in group.into_iter().enumerate() {
        groups.entry(group).or_insert_with(|| (index, Vec::new())).1.push(names[index]);
    }
    let mut groups: Vec<_> = groups.into_values().filter(|(_, names)| names.len() > 1).collect();
    groups.sort_unstable_by_key(|(first, _)| *first);
    groups.into_iter().map(|(_, names)| names).collect()
}

/// `name` without case, spaces, hyphens between letters or digits, zeros before a number, and fractions of zeros.
fn folded(name: &str) -> String {
    // Through capitals, `ß` becomes `ss`, as in Unicode's case folding.
    joined(&plain(&plain(name).to_uppercase().to_lowercase()))
}

/// `name` after [`folded`], with a space for each full stop or comma in a number: `1.2`, `1,2`, `1 2` and `1-2` become the same.
/// Other full stops and commas are removed: `b.1` becomes `b1`.
fn without_points(name: &str) -> String {
    let characters: Vec<char> = folded(name).chars().collect();
    let is_digit = |index: Option<usize>| {
        index.and_then(|index| characters.get(index)).is_some_and(|character| character.is_ascii_digit())
    };
    let written = |(index, &character): (usize, &char)| match character {
        // A full stop at the start belongs to a fraction: `.5` is not `5`.
        '.' | ',' if is_digit(Some(index + 1)) && (index == 0 || is_digit(index.checked_sub(1))) => Some(' '),
        '.' | ',' => None,
        character => Some(character),
    };
    characters.iter().enumerate().filter_map(written).collect()
}

/// `name` without case, and with digits for the letters that most fonts draw like them. Zeros stay: `AO1` is like `A01`, not like
/// `A1`.
fn with_digits_for_letters(name: &str) -> String {
    let digits = |character| match character {
        'I' | 'l' | '|' => '1',
        'O' => '0',
        character => character,
    };
    plain(&name.chars().map(digits).collect::<String>()).to_lowercase()
}

/// `name` with full-width and other compatibility forms as plain characters (NFKC) and every hyphen as `-`. Spaces, `_` and
/// characters without width are removed, and so are full stops at the end, which Windows drops. A gap between two digits becomes
/// one space: `1 1` is not `11`.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    let mut gap = false;
    for character in name.trim_end_matches(['.', ' ']).nfkc() {
        if character.is_whitespace() || character == '_' {
            gap = true;
        } else if !is_invisible(character) {
            if gap && character.is_ascii_digit() && plain.ends_with(|last: char| last.is_ascii_digit()) {
                plain.push(' ');
            }
            gap = false;
            plain.push(if is_hyphen(character) { '-' } else { character });
        }
    }
    plain
}

/// `plain` without hyphens between letters or digits, and with numbers in their shortest form.
fn joined(plain: &str) -> String {
    let characters: Vec<char> = plain.chars().collect();
    let is_joint = |index: usize| {
        let beside =
            |index: Option<usize>| index.and_then(|index| characters.get(index)).is_some_and(|c| c.is_alphanumeric());
        characters[index] == '-' && beside(index.checked_sub(1)) && beside(Some(index + 1))
    };
    let mut joined = String::new();
    let mut index = 0;
    while let Some(&character) = characters.get(index) {
        if character.is_ascii_digit() {
            let digits = |from: usize| characters[from..].iter().take_while(|c| c.is_ascii_digit()).count();
            let end = index + digits(index);
            let number: String = characters[index..end].iter().collect();
            // Zeros matter in a fraction (`0.05`), but not in a date (`2026.01.05`).
            let is_fraction = is_only_fraction(&characters, index, end);
            let number = if is_fraction { &number } else { number.trim_start_matches('0') };
            joined.push_str(if number.is_empty() { "0" } else { number });
            index = end;
            // Removes a fraction of zeros, unless it is inside a version such as 1.0.2.
            if matches!(characters.get(end), Some('.' | ',')) && !ends_with_fraction(&characters[..end]) {
                let zeros = characters[end + 1..].iter().take_while(|c| **c == '0').count();
                let after = end + 1 + zeros;
                if zeros > 0 && !matches!(characters.get(after), Some('.' | ',' | '0'..='9')) {
                    index = after;
                }
            }
        } else if is_joint(index) {
            let between_digits =
                characters[index - 1].is_ascii_digit() && characters.get(index + 1).is_some_and(char::is_ascii_digit);
            if between_digits {
                joined.push(' ');
            }
            index += 1;
        } else {
            joined.push(character);
            index += 1;
        }
    }
    joined
}

/// Whether the digits `start..end` are the fraction of a number that has only one full stop or comma.
fn is_only_fraction(characters: &[char], start: usize, end: usize) -> bool {
    let is_point = |character: Option<&char>| matches!(character, Some('.' | ','));
    let before = &characters[..start.saturating_sub(1)];
    let whole = before.iter().rev().take_while(|character| character.is_ascii_digit()).count();
    let continues = is_point(characters.get(end)) && characters.get(end + 1).is_some_and(char::is_ascii_digit);
    start > 0 && is_point(characters.get(start - 1)) && !is_point(before[..before.len() - whole].last()) && !continues
}

/// Whether the number at the end of `characters` follows a full stop or comma.
fn ends_with_fraction(characters: &[char]) -> bool {
    let before = characters.iter().rev().find(|character| !character.is_ascii_digit());
    matches!(before, Some('.' | ','))
}

/// Whether `character` is a hyphen, a dash, a minus sign or another short stroke.
fn is_hyphen(character: char) -> bool {
    matches!(
        character,
        '-' | '\u{2d7}' | '\u{58a}' | '\u{5be}' | '\u{1806}' | '\u{2010}'
            ..='\u{2015}'
                | '\u{2043}'
                | '\u{207b}'
                | '\u{208b}'
                | '\u{2212}'
                | '\u{2500}'
                | '\u{2501}'
                | '\u{2796}'
                | '\u{2e3a}'
                | '\u{2e3b}'
                | '\u{2e40}'
                | '\u{301c}'
                | '\u{fe58}'
                | '\u{fe63}'
                | '\u{ff0d}'
    )
}

/// Whether `character` is a control character, or one that Unicode calls default ignorable, such as those without width.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alike(one: &str, other: &str) -> bool {
        look_alikes(&[one, other]).len() == 1
    }

    #[test]
    fn names_that_look_alike_are_alike() {
        for (one, other) in [
            ("bundle 1", "Bundle 1"),
            ("STRASSE", "straße"),
            ("bundle 1", "bundle  1"),
            ("bundle 1", "bundle\u{a0}1"),
            ("bundle 1", "bundle1"),
            ("bundle 1", "bundle_1"),
            ("bundle 1", "bundle\u{200b} 1"),
            ("bundle 1", "\u{feff}bundle 1"),
            ("bundle 1", "bun\u{ad}dle 1"),
            ("bundle 1", "bundle 1."),
            ("bundle-1", "bundle\u{2010}1"),
            ("bundle-1", "bundle \u{2013} 1"),
            ("bundle-1", "bundle\u{2014}1"),
            ("bundle-1", "bundle\u{2212}1"),
            ("1-2", "1 2"),
            ("1-2", "01\u{2011}02"),
            ("1", "01"),
            ("1", "1.0"),
            ("1", "1,00"),
            ("bundle 001", "bundle 1"),
            ("bundle 1.5", "bundle 1,5"),
            ("bundle 1.5", "bundle_1_5"),
            ("2026.01.05", "2026-1-5"),
            ("batch.1", "batch 1"),
            ("batch, 1", "batch 1"),
            ("K10", "K1O"),
            ("bundle l", "bundle 1"),
            ("bundle I", "bundle 1"),
            ("BUNDLE I0", "BUNDLE 10"),
            ("bundle IO", "bundle lO"),
            ("AO1", "A01"),
            ("0", "000"),
            ("A1", "\u{ff21}\u{ff11}"),
            ("bundle IV", "bundle \u{2163}"),
            ("bundle a", "bundle \u{430}"),
            ("B", "\u{392}"),
            ("B", "\u{412}"),
            ("HOP 1", "\u{41d}\u{41e}\u{420} 1"),
            ("Bündel", "Bu\u{308}ndel"),
            ("Bündel 1", "bu\u{308}ndel-01"),
        ] {
            assert!(alike(one, other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn names_that_look_different_are_not_alike() {
        for (one, other) in [
            ("bundle 1", "bundle 2"),
            ("11", "1 1"),
            ("11", "1-1"),
            ("1.1", "1.10"),
            ("1.0", "1.0.0"),
            ("1.0.2", "1.2"),
            ("10", "1"),
            ("100", "1.00.1"),
            ("A+", "A-"),
            ("A-", "A"),
            ("-1", "1"),
            ("0.05", "0.5"),
            ("1.5", "15"),
            ("loading 0,05", "loading 0,5"),
            (".5", "5"),
            ("AO1", "A1"),
            ("bundle i", "bundle 1"),
            ("bundle o", "bundle 0"),
            ("bundle L", "bundle 1"),
            ("corn", "com"),
            ("Bündel", "Bundel"),
            ("a", "ä"),
            ("ж", "x"),
        ] {
            assert!(!alike(one, other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn groups_contain_all_names_in_their_order() {
        let names = ["c", "bundle 1", "Bundle 1", "b", "b\u{443}ndle", "bundle 01", "C"];
        assert_eq!(look_alikes(&names), [vec!["c", "C"], vec!["bundle 1", "Bundle 1", "bundle 01"]]);
    }

    proptest! {
        #[test]
        fn any_name_is_like_its_decomposed_form(name in "\\PC{0,12}") {
            let decomposed: String = name.nfd().collect();
            prop_assert!(alike(&name, &decomposed));
            prop_assert_eq!(composed(&decomposed), composed(&name));
        }

        #[test]
        fn numbers_are_alike_only_if_equal(one in 0..200_u32, other in 0..200_u32, zeros in 0..3_usize) {
            let padded = format!("b{}{other}", "0".repeat(zeros));
            prop_assert_eq!(alike(&format!("B {one}"), &padded), one == other);
        }
    }
}
