//! Draws text in the pixel font of the contact sheet.

/// Distance from one letter to the next, in pixels.
pub(super) const ADVANCE: usize = 6;
/// Distance from one line of text to the next, in pixels.
pub(super) const LINE: usize = 11;

/// The glyphs, one on each line of text: the character, then its eight rows of five pixels.
const GLYPHS: &str = include_str!("font.txt");

/// Returns the set pixels of one line of `text` as (x, y) from its top left corner. Capitals are drawn as small letters, and
/// a character without a glyph as `?`.
pub(super) fn pixels(text: &str) -> impl Iterator<Item = (usize, usize)> {
    text.chars().enumerate().flat_map(|(place, character)| {
        rows(character).enumerate().flat_map(move |(y, row)| {
            row.bytes().enumerate().filter(|(_, pixel)| *pixel == b'#').map(move |(x, _)| (place * ADVANCE + x, y))
        })
    })
}

/// The rows of the glyph of `character`; none for a space.
fn rows(character: char) -> impl Iterator<Item = &'static str> {
    let find = |wanted: char| GLYPHS.lines().find(|line| line.starts_with(wanted));
    let glyph = match character {
        ' ' => None,
        other => find(other.to_ascii_lowercase()).or_else(|| find('?')),
    };
    glyph.into_iter().flat_map(|line| line.split(' ').skip(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_have_one_size_and_a_space_has_no_pixels() {
        for line in GLYPHS.lines() {
            let rows: Vec<_> = line.split(' ').skip(1).collect();
            assert!(rows.len() == 8 && rows.iter().all(|row| row.len() == 5), "{line}");
            assert!(line.chars().nth(1) == Some(' ') && line.contains('#'), "{line}");
        }
        assert_eq!(pixels(" ").count(), 0);
        assert_eq!(pixels("-i").next(), Some((1, 3)));
        assert!(pixels("E").eq(pixels("e")) && pixels("€").eq(pixels("?")));
    }
}
