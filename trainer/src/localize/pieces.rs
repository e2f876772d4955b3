//! Divides a mask into pieces: pixels that are connected through sides or corners.

use std::collections::BTreeMap;

/// Pixels of one row that lie next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) row: usize,
    /// The first column.
    pub(super) begin: usize,
    /// The column after the last one.
    pub(super) end: usize,
}

/// Connected pixels of a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its pixels, row by row; at least one.
    pub(super) runs: Vec<Run>,
}

impl Piece {
    /// The number of its pixels, at least 1.
    pub(super) fn pixels(&self) -> usize {
        self.runs.iter().map(|run| run.end - run.begin).sum()
    }
}

/// The pieces of the mask `pixels`, which has rows of `width` pixels. A pixel above 0 is in the mask. The pieces are in the order of
/// their first pixels, row by row.
pub(super) fn pieces(width: usize, pixels: &[u8]) -> Vec<Piece> {
    let runs = runs(width, pixels);
    // For each run, an earlier run of the same piece, or the run itself if it is the first of its piece.
    let mut earlier: Vec<usize> = (0..runs.len()).collect();
    // The first run of the row above that may touch this run or a later one of its row.
    let mut above = 0;
    for (at, run) in runs.iter().enumerate() {
        while runs[above].row + 1 < run.row || (runs[above].row + 1 == run.row && runs[above].end < run.begin) {
            above += 1;
        }
        // Two runs that share only a corner touch too.
        for other in (above..at).take_while(|&other| runs[other].row + 1 == run.row && runs[other].begin <= run.end) {
            let (a, b) = (first(&mut earlier, other), first(&mut earlier, at));
            earlier[a.max(b)] = a.min(b);
        }
    }
    let mut pieces = BTreeMap::<usize, Piece>::new();
    for (at, run) in runs.iter().enumerate() {
        let of = first(&mut earlier, at);
        pieces.entry(of).or_insert_with(|| Piece { runs: Vec::new() }).runs.push(*run);
    }
    pieces.into_values().collect()
}

/// The first run of the piece of the run `at`, as far as it is known. Shortens the way there.
fn first(earlier: &mut [usize], mut at: usize) -> usize {
    while earlier[at] != at {
        earlier[at] = earlier[earlier[at]];
        at = earlier[at];
    }
    at
}

fn runs(width: usize, pixels: &[u8]) -> Vec<Run> {
    let mut runs = Vec::new();
    for (row, pixels) in pixels.chunks(width).enumerate() {
        let mut begin = 0;
        for same in pixels.chunk_by(|a, b| (*a > 0) == (*b > 0)) {
            let end = begin + same.len();
            if same[0] > 0 {
                runs.push(Run { row, begin, end });
            }
            begin = end;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The pieces of a mask drawn with `#`, each as the rows and columns of its pixels.
    fn drawn(rows: &[&str]) -> Vec<Vec<(usize, usize)>> {
        let pixels: Vec<u8> = rows.iter().flat_map(|row| row.bytes().map(|byte| u8::from(byte == b'#'))).collect();
        places(rows[0].len(), &pixels)
    }

    fn places(width: usize, pixels: &[u8]) -> Vec<Vec<(usize, usize)>> {
        let of = |run: &Run| (run.begin..run.end).map(|column| (run.row, column)).collect::<Vec<_>>();
        pieces(width, pixels).iter().map(|piece| piece.runs.iter().flat_map(of).collect()).collect()
    }

    #[test]
    fn corners_connect_and_a_later_row_can_join_two_pieces() {
        let found = drawn(&["##..#", "..#..", ".....", "#.#.#", "###.#"]);
        let expected = [
            vec![(0, 0), (0, 1), (1, 2)],
            vec![(0, 4)],
            vec![(3, 0), (3, 2), (4, 0), (4, 1), (4, 2)],
            vec![(3, 4), (4, 4)],
        ];
        assert_eq!(found, expected);
        assert_eq!(drawn(&["...", "..."]), Vec::<Vec<_>>::new());
        // The last pixel of a row does not touch the first one of the next row.
        assert_eq!(drawn(&["..#", "#.."]).len(), 2);
    }

    #[test]
    fn the_pixels_of_a_piece_are_counted() {
        assert_eq!(pieces(3, &[1, 1, 0, 0, 0, 255])[0].pixels(), 3);
    }

    proptest! {
        #[test]
        fn equals_a_flood_fill(width in 1_usize..9, pixels in proptest::collection::vec(0_u8..2, 1..80)) {
            let height = pixels.len() / width;
            let pixels = &pixels[..height * width];
            let mut left = pixels.to_vec();
            let mut expected = Vec::new();
            for start in 0..left.len() {
                let (mut piece, mut waiting) = (Vec::new(), vec![(start / width, start % width)]);
                while let Some((row, column)) = waiting.pop() {
                    if row < height && column < width && std::mem::take(&mut left[row * width + column]) > 0 {
                        piece.push((row, column));
                        let around = |at: usize| at.saturating_sub(1)..=at + 1;
                        waiting.extend(around(row).flat_map(|row| around(column).map(move |column| (row, column))));
                    }
                }
                piece.sort_unstable();
                expected.extend((!piece.is_empty()).then_some(piece));
            }
            prop_assert_eq!(places(width, pixels), expected);
        }
    }
}
