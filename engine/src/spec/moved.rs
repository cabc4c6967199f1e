//! Training points that a hand has put elsewhere.

use super::control::{excerpt, show_number};
use crate::decimal::{number, rounded};

/// Most points that may be elsewhere at a time.
pub const MAX_MOVED: usize = 50;

/// How far out a point may be put, on both axes.
const FARTHEST: f64 = 1e6;

/// A training point and where it is instead of its own place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    /// Its number in the training set, from 0 on.
    pub example: u64,
    /// Where it is, in the units that the network sees.
    pub to: [f64; 2],
}

/// Reads `number:x:y` with commas, the numbers ascending.
///
/// # Errors
/// What is wrong, as a sentence without its subject.
pub fn read_moves(text: &str) -> Result<Vec<Moved>, String> {
    let mut moves: Vec<Moved> = Vec::new();
    for one in text.split(',').filter(|_| !text.is_empty()) {
        let read = || {
            let (example, to) = one.split_once(':')?;
            let (x, y) = to.split_once(':')?;
            let place = |text| number(text).filter(|value| value.abs() <= FARTHEST);
            Some(Moved { example: example.trim().parse().ok()?, to: [place(x)?, place(y)?] })
        };
        let Some(moved) = read() else {
            return Err(format!("must be a point's number and place such as 12:0.35:-0.2, not “{}”", excerpt(one)));
        };
        if moves.last().is_some_and(|last| last.example >= moved.example) {
            return Err(format!("must have ascending numbers; {} is not", moved.example));
        }
        if moves.len() == MAX_MOVED {
            return Err(format!("must be at most {MAX_MOVED}"));
        }
        moves.push(moved);
    }
    Ok(moves)
}

/// Writes what [`read_moves`] reads, places with four digits: a hand has no more.
#[must_use]
pub fn write_moves(moves: &[Moved]) -> String {
    // -0 is written as 0.
    let place = |value: f64| show_number(rounded(value, 4) + 0.0);
    let one = |Moved { example, to: [x, y] }: &Moved| format!("{example}:{}:{}", place(*x), place(*y));
    moves.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The moves of `text` with one more, or with a point back at its own place. What cannot be read counts as none.
#[must_use]
pub fn with_move(text: &str, example: u64, to: Option<[f64; 2]>) -> String {
    let mut moves = read_moves(text).unwrap_or_default();
    moves.retain(|moved| moved.example != example);
    if let Some(to) = to {
        let place = moves.partition_point(|moved| moved.example < example);
        moves.insert(place, Moved { example, to });
    }
    write_moves(&moves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(places in prop::collection::btree_map(0..10_000_000_u64, [-99.0..99.0, -99.0..99.0], 0..=MAX_MOVED)) {
            let moves: Vec<Moved> = places.into_iter().map(|(example, to)| Moved { example, to }).collect();
            let text = write_moves(&moves);
            let read = read_moves(&text).unwrap();
            prop_assert_eq!(read.len(), moves.len());
            for (read, moved) in read.iter().zip(&moves) {
                prop_assert_eq!(read.example, moved.example);
                for (read, to) in read.to.iter().zip(moved.to) {
                    prop_assert!((read - to).abs() <= 1e-3 * to.abs());
                }
            }
            prop_assert_eq!(write_moves(&read), text);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "[-0-9:,.e ]{0,40}") {
            if let Ok(moves) = read_moves(&text) {
                prop_assert!(read_moves(&write_moves(&moves)).is_ok());
            }
        }
    }

    #[test]
    fn a_point_is_moved_and_put_back() {
        let text = with_move("", 12, Some([0.35, -0.2]));
        let text = with_move(&text, 3, Some([-0.000_01, 1.0]));
        assert_eq!(text, "3:-1e-5:1,12:0.35:-0.2");
        let text = with_move(&text, 12, Some([0.123_456, 0.0]));
        assert_eq!(text, "3:-1e-5:1,12:0.1235:0");
        assert_eq!(with_move(&with_move(&text, 3, None), 12, None), "");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for wrong in ["3:1", "3:1:x", "a:1:1", "3:1:1,3:2:2", "4:1:1,3:1:1", "3:inf:1", "3:1e7:1", ","] {
            assert!(read_moves(wrong).is_err(), "{wrong}");
        }
        let many: Vec<String> = (0..=MAX_MOVED).map(|example| format!("{example}:0:0")).collect();
        assert!(read_moves(&many.join(",")).unwrap_err().contains("at most 50"));
    }
}
