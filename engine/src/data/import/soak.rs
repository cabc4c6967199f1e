//! Many generated files: whatever they hold, they are read or refused with a message. Slow.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::tests::{JPEG, f32s, gray, npy, zip};
use super::*;
use crate::data::Rows as Table;

const FILES: u64 = 10_000;

/// Random choices of one file.
struct Dice(Rng);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0.below(n.max(1) as u32) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

fn cell(dice: &mut Dice, kind: usize, row: usize) -> String {
    let number = f64::from(dice.0.u32()) / 1e6 - 2000.0;
    match kind {
        0 => row.to_string(),
        1 => format!("{number:.3}"),
        2 => format!("{number:.3}").replace('.', ","),
        3 => dice.one(&["red", "green", "blue, dark", "\"quoted\"", "two\nlines"]).to_owned(),
        4 => (dice.below(3)).to_string(),
        5 => format!("{}", 1_700_000_000_u64 + row as u64),
        6 => format!("{number}e{}", dice.below(80) as i32 - 60),
        7 => dice.one(&["NA", "", "?", "nan", "-inf", "1e400", "-0", "0x1F", "1_000", "٣"]).to_owned(),
        _ => format!("t{}", dice.0.u32()),
    }
}

fn table(dice: &mut Dice) -> Vec<u8> {
    let (rows, width) = (6 + dice.below(60), 1 + dice.below(6));
    // Most files are of one piece; some have a row too long, or now and then a cell that fits nowhere.
    let (ragged, odd) = (dice.below(6) == 0, [0, 0, 7][dice.below(3)]);
    let delimiter = dice.one(&[",", ";", "\t", "|", " ", "  ", ":"]);
    let end = dice.one(&["\n", "\r\n", "\r"]);
    let kinds: Vec<usize> = (0..width).map(|_| [0, 1, 1, 2, 3, 4, 4, 5, 6, 8][dice.below(10)]).collect();
    let quote = dice.below(3);
    let written = |text: String| {
        if quote == 0 || (quote == 1 && text.contains([',', '"', '\n'])) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        }
    };
    let mut lines = Vec::new();
    if dice.below(8) == 0 {
        lines.push(format!("sep={delimiter}"));
    }
    if dice.below(4) > 0 {
        let names: Vec<String> = (0..width)
            .map(|_| {
                written(dice.one(&["x", "y", "", "inf", "a, b", "label", "Größe", "id", "*", "-x", "a\nb"]).into())
            })
            .collect();
        lines.push(names.join(delimiter));
    }
    for row in 0..rows {
        let cells: Vec<String> = (0..width + usize::from(ragged && row == rows / 2))
            .map(|column| {
                let kind = if odd > 0 && dice.below(50) == 0 { odd } else { kinds[column % width] };
                written(cell(dice, kind, row))
            })
            .collect();
        lines.push(cells.join(delimiter));
    }
    let text = lines.join(end);
    match dice.below(6) {
        0 => text.chars().map(|symbol| symbol as u8).collect(),
        1 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        2 => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        _ => text.into_bytes(),
    }
}

fn archive(dice: &mut Dice) -> Vec<u8> {
    let folders = ["a/", "b/", "./c/", "d\\", "A\u{308}/", "10/", "9/", "", "__MACOSX/"];
    // Many archives are of pictures in folders that name classes, and of nothing else.
    let sound = dice.below(3) > 0;
    let known = if sound { 7 } else { folders.len() };
    let entries: Vec<(String, Vec<u8>)> = (0..dice.below(40))
        .map(|i| {
            let folder = dice.one(&folders[..known]);
            let (ending, bytes) = match dice.below(12 + 200 * usize::from(sound)) {
                0 => ("csv", table(dice)),
                1 => ("txt", b"text ".repeat(300)),
                2 => ("jpg", JPEG[..dice.below(JPEG.len())].to_vec()),
                3..60 => ("jpg", JPEG.to_vec()),
                _ => ("png", gray(i as u8)),
            };
            (format!("{folder}{i}.{ending}"), bytes)
        })
        .collect();
    let entries: Vec<(&str, Vec<u8>)> = entries.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    zip(&entries)
}

fn arrays(dice: &mut Dice) -> Vec<u8> {
    let rows = 5 + dice.below(40);
    let names = ["x", "y", "x_train", "y_train", "meta", "labels", "a b"];
    let entries: Vec<(String, Vec<u8>)> = (0..1 + dice.below(4))
        .map(|i| {
            let name =
                format!("{}{}.npy", dice.one(&names), if dice.below(3) == 0 { i.to_string() } else { String::new() });
            let array = match dice.below(6) {
                0 => npy("<f4", &format!("({rows}, 3)"), &f32s((0..rows * 3).map(|i| i as f32 - 7.5))),
                1 => npy("<f4", &format!("({rows},)"), &f32s((0..rows).map(|i| (i % 3) as f32 - 1.0))),
                2 => npy("|u1", &format!("({rows}, 8, 8)"), &(0..rows * 64).map(|i| (i % 2) as u8).collect::<Vec<_>>()),
                3 => npy(
                    "<i8",
                    &format!("({rows}, 1)"),
                    &(0..rows).flat_map(|i| (i as i64 % 4 - 2).to_le_bytes()).collect::<Vec<_>>(),
                ),
                4 => npy("|O", &format!("({rows},)"), &vec![0; rows]),
                _ => npy(
                    "<f8",
                    &format!("({rows}, 2)"),
                    &(0..rows * 2).flat_map(|i| (i as f64 * 1e200).to_le_bytes()).collect::<Vec<_>>(),
                ),
            };
            (name, array)
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    let entries: Vec<(&str, Vec<u8>)> = entries
        .iter()
        .filter(|(path, _)| seen.insert(path.clone()))
        .map(|(path, bytes)| (path.as_str(), bytes.clone()))
        .collect();
    zip(&entries)
}

/// Reads a file as the page would, with its likely answer or with random ones.
fn try_file(name: &str, bytes: Vec<u8>, dice: &mut Dice) -> Result<Data, DataError> {
    let mut own = OwnFile::open(name, vec![(name.to_owned(), bytes)], None)?;
    let mut options = ImportOptions::default();
    if let Some(choice) = own.choice()
        && dice.below(2) == 0
    {
        let some = |dice: &mut Dice| choice.columns[dice.below(choice.columns.len())].name.clone();
        options.target = some(dice);
        options.columns = (0..dice.below(4)).map(|_| some(dice)).collect();
        options.content = [None, Some(Content::Table), Some(Content::Series)][dice.below(3)];
        options.kinds = (0..dice.below(3))
            .map(|_| (some(dice), [Taken::Number, Taken::Category, Taken::Ignored][dice.below(3)]))
            .collect();
    }
    let (spec, data) = own.choose(&options)?;
    // What a link says of it is fit for a link, and gives the same again.
    let mut run = crate::spec::RunSpec { data: spec.clone(), ..crate::spec::RunSpec::default() };
    run.sanitize();
    assert_eq!(run.data, spec);
    assert_eq!(own.load(&run.data, 1)?, data);
    Ok(data)
}

#[test]
#[ignore = "reads ten thousand files"]
fn generated_files_are_read_or_refused_with_a_message() {
    let (mut read, mut refused) = (0, 0);
    for seed in 0..FILES {
        let mut dice = Dice(Rng::new(seed, Stream::Generate, 0));
        let (name, mut bytes) = match dice.below(4) {
            0 | 1 => ("t.csv", table(&mut dice)),
            2 => ("a.zip", archive(&mut dice)),
            _ => ("a.npz", arrays(&mut dice)),
        };
        if dice.below(4) == 0 && !bytes.is_empty() {
            let place = dice.below(bytes.len());
            if dice.below(2) == 0 { bytes[place] ^= 1 << dice.below(8) } else { bytes.truncate(place) }
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| try_file(name, bytes, &mut dice)));
        match outcome.unwrap_or_else(|_| panic!("file {seed} is read without a panic")) {
            Ok(data) => {
                read += 1;
                assert!(!data.train.is_empty(), "file {seed} leaves nothing to train on");
                if let Table::F32(values) = data.rows() {
                    assert!(
                        values.iter().all(|value| value.is_finite()),
                        "file {seed} has a number that is not finite"
                    );
                }
                let card = data.card();
                assert!(!card.figures.is_empty(), "file {seed} has nothing to show");
            }
            Err(error) => {
                refused += 1;
                assert!(error.place.contains(name) && error.reason.len() > 5, "file {seed}: {error}");
            }
        }
    }
    println!("{read} files read, {refused} refused");
    assert!(read > FILES / 4 && refused > FILES / 20, "{read} read, {refused} refused");
}
