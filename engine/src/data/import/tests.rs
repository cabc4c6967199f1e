use std::io::{Cursor, Write};

use proptest::prelude::*;
use zip::write::SimpleFileOptions;

use super::*;
use crate::data::{Series, Split, Text};

pub(super) const JPEG: &[u8] = include_bytes!("red8.jpg");

pub(super) fn read(name: &str, bytes: impl AsRef<[u8]>) -> Result<Data, DataError> {
    read_as(name, bytes, ImportOptions::default())
}

pub(super) fn read_as(name: &str, bytes: impl AsRef<[u8]>, options: ImportOptions) -> Result<Data, DataError> {
    let own = OwnFile::read(name, vec![(name.into(), bytes.as_ref().to_vec())], &options)?;
    own.load(&own.spec().unwrap(), 1)
}

pub(super) fn read_folder(files: &[(&str, &[u8])]) -> Result<Data, DataError> {
    let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
    let own = OwnFile::read("pets", files, &ImportOptions::default())?;
    own.load(&own.spec().unwrap(), 1)
}

pub(super) fn columns(names: &[&str], target: &str) -> ImportOptions {
    ImportOptions {
        columns: names.iter().map(|&name| name.into()).collect(),
        target: target.into(),
        ..ImportOptions::default()
    }
}

pub(super) fn series() -> ImportOptions {
    ImportOptions { content: Some(Content::Series), ..ImportOptions::default() }
}

/// A CSV file with a line for each of 0..n.
pub(super) fn lines(header: &str, n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).fold(format!("{header}\n"), |text, i| text + &line(i) + "\n")
}

pub(super) fn zip(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, bytes) in entries {
        writer.start_file(*path, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(super) fn npy(descr: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), bytes].concat()
}

pub(super) fn npz(x: Vec<u8>, y: Vec<u8>) -> Vec<u8> {
    zip(&[("x.npy", x), ("y.npy", y)])
}

pub(super) fn f32s(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

pub(super) fn png(width: u32, height: u32, color: png::ColorType, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    bytes
}

pub(super) fn gray(value: u8) -> Vec<u8> {
    png(8, 8, png::ColorType::Grayscale, &[value; 64])
}

pub(super) fn images(data: &Data) -> &crate::data::Images {
    let Values::Images(images) = &data.values else { panic!("not images") };
    images
}

pub(super) fn table(data: &Data) -> &crate::data::Table {
    let Values::Table(table) = &data.values else { panic!("not a table") };
    table
}

#[test]
fn a_table_with_classes() {
    let file = lines("width,colour,kind", 40, |i| format!("{},{},{}", i, ["red", "blue"][i % 2], ["b", "a"][i / 20]));
    let own =
        OwnFile::read("t.csv", vec![("t.csv".into(), file.clone().into_bytes())], &ImportOptions::default()).unwrap();
    let names: Vec<&str> = own.inspect().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["width", "colour", "kind"]);
    assert_eq!(own.inspect()[0].kind, ColumnKind::Whole);
    assert_eq!(own.inspect()[1].kind, ColumnKind::Text(2, "red".into()));
    assert_eq!(own.inspect()[1].preview, ["red", "blue", "red", "blue", "red"]);
    let data = own.load(&own.spec().unwrap(), 1).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (34, 6));
    assert_eq!(table(&data).columns, ["width", "colour=blue", "colour=red"]);
    assert_eq!(data.classes(), ["a", "b"]);
    // Stratified, and each row with its own label: width below 20 is class b.
    assert_eq!(data.labels().unwrap()[34..].iter().filter(|&&label| label == 0).count(), 3);
    for (row, &label) in table(&data).values.chunks(3).zip(data.labels().unwrap()) {
        assert_eq!(table(&data).scaling[0].raw(row[0]) < 19.5, label == 1);
    }
    // The same seed divides alike, another otherwise.
    assert_eq!(data, own.load(&own.spec().unwrap(), 1).unwrap());
    assert_ne!(data, own.load(&own.spec().unwrap(), 2).unwrap());
    // Chosen columns, and a class that is a number.
    let data = read_as("t.csv", file, columns(&["width", "kind"], "colour")).unwrap();
    assert_eq!(table(&data).columns, ["width", "kind=a", "kind=b"]);
    assert_eq!(data.classes(), ["blue", "red"]);
}

#[test]
fn whole_numbers_are_classes_and_fractions_are_predicted() {
    let data = read("t.csv", lines("x;y", 30, |i| format!("{i};{}", [10, 9][i % 2]))).unwrap();
    assert_eq!(data.classes(), ["9", "10"]);
    let data = read("t.csv", lines("x\ty", 30, |i| format!("{i}\t{}", i as f32 * 2.0 + 0.5))).unwrap();
    let Target::Number { name, values, scaling } = &table(&data).target else { panic!("not a number") };
    assert_eq!(name, "y");
    for (x, y) in table(&data).values.iter().zip(values) {
        let x = table(&data).scaling[0].raw(*x);
        assert!((scaling.raw(*y) - (2.0 * x + 0.5)).abs() < 1e-3);
    }
    assert!(data.card().figures.len() >= 2);
}

#[test]
fn tables_without_names_and_with_gaps() {
    let data =
        read("t.csv", lines("0,1", 20, |i| if i == 4 { ",1".into() } else { format!("{i},{}", i % 2) })).unwrap();
    assert_eq!(table(&data).columns, ["column 1"]);
    assert_eq!(data.info.notes, ["1 row that lacks a value is left out: it is line 6, where column 1 is empty."]);
    assert_eq!(data.train.len() + data.test.len(), 20);
    // A quoted cell with a comma and a line end, a name with a comma, a byte-order mark.
    let text = lines("\u{feff}\"a, b\",c", 20, |i| format!("{i},\"u,\n{}\"", i % 2));
    let data = read("t.csv", text).unwrap();
    assert_eq!(table(&data).columns, ["a, b"]);
    assert_eq!(data.classes(), ["u,\n0", "u,\n1"]);
}

#[test]
fn columns_that_cannot_be_used_are_left_out_unless_they_are_chosen() {
    let file = lines("id,x,y", 60, |i| format!("n{i},{i},{}", i % 3));
    let data = read("t.csv", &file).unwrap();
    assert_eq!(
        data.info.notes,
        [
            "Column id is left out: it holds text (line 2: \"n0\"), and 60 different texts are more than the 32 that can be told apart."
        ]
    );
    assert_eq!(table(&data).columns, ["x"]);
    let error = read_as("t.csv", &file, columns(&["id"], "y")).unwrap_err().to_string();
    assert!(error.starts_with("t.csv, column id: holds text (line 2: \"n0\"), and 60"), "{error}");
}

#[test]
fn a_series_keeps_its_order() {
    let file = lines("day,a,b", 100, |i| format!("d{i},{i},{}", 2 * i));
    let data = read_as("s.csv", file, series()).unwrap();
    let Values::Series(Series { columns, values, scaling, target, .. }) = &data.values else { panic!("not a series") };
    assert_eq!((columns.as_slice(), *target), (["a".to_owned(), "b".to_owned()].as_slice(), 1));
    assert_eq!((data.train.clone(), data.test.clone()), (0..85, 85..100));
    assert!((scaling[1].raw(values[2 * 99 + 1]) - 198.0).abs() < 1e-3);
    assert_eq!(data.info.notes, ["Column day is left out: it holds text (line 2: \"d0\")."]);
}

#[test]
fn text_is_read_by_character() {
    let file = "To be,\r\nor not \u{e9}\n".repeat(70);
    let data = read("play.txt", &file).unwrap();
    let Values::Text(Text { tokens, vocabulary }) = &data.values else { panic!("not text") };
    let text: String = tokens.iter().map(|&token| vocabulary[token as usize]).collect();
    assert_eq!(text, file.replace('\r', ""));
    assert!(vocabulary.is_sorted());
    assert_eq!(data.train.len(), tokens.len() - tokens.len() * 15 / 100);
    // More symbols than fit: the rare ones become unknown, and that is said.
    let many: String = ('\u{4e00}'..'\u{4f00}').collect();
    let data = read("many.txt", "abcde\n".repeat(1000) + &many).unwrap();
    let Values::Text(Text { tokens, vocabulary }) = &data.values else { panic!("not text") };
    assert_eq!(vocabulary.len(), crate::data::MAX_VOCABULARY);
    assert_eq!(tokens.len(), 6256);
    assert_eq!(
        data.info.notes,
        [
            "262 different characters are too many: all but the 255 most frequent (7 characters, 0.11% of the text) are read as \u{fffd}"
        ]
    );
}

#[test]
fn arrays_of_numbers_and_pictures() {
    // Rows of numbers, labels in big-endian order with gaps between the classes.
    let x = npy("<f4", "(20, 2)", &f32s((0..40).map(|i| i as f32)));
    let y = npy(">i4", "(20,)", &(0..20).flat_map(|i: i32| (i % 2 * 7).to_be_bytes()).collect::<Vec<u8>>());
    let data = read("a.npz", npz(x, y)).unwrap();
    assert_eq!(data.classes(), ["0", "7"]);
    assert_eq!(table(&data).columns, ["x 1", "x 2"]);
    // The row that starts with 2i has class i mod 2.
    for (row, &label) in table(&data).values.chunks(2).zip(data.labels().unwrap()) {
        let first = table(&data).scaling[0].raw(row[0]).round() as u32;
        assert_eq!(first / 2 % 2, label);
    }
    // Channels last, floats from 0 to 1.
    let pixels = f32s((0..10 * 64).flat_map(|_| [1.0, 0.5, 0.0]));
    let x = npy("<f4", "(10, 8, 8, 3)", &pixels);
    let y = npy("|u1", "(10,)", &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let data = read("a.npz", npz(x, y.clone())).unwrap();
    assert_eq!(images(&data).shape, [3, 8, 8]);
    assert_eq!(images(&data).pixels[..192], [[255; 64], [128; 64], [0; 64]].concat());
    // Channels first, and oblong pictures without channels.
    let data = read("a.npz", npz(npy("|u1", "(10, 3, 8, 8)", &[9; 1920]), y.clone())).unwrap();
    assert_eq!(images(&data).shape, [3, 8, 8]);
    let data = read("a.npz", npz(npy("<i8", "(10, 10, 20)", &9_i64.to_le_bytes().repeat(2000)), y)).unwrap();
    assert_eq!(images(&data).shape, [1, 10, 10]);
    assert_eq!(data.info.notes, ["Pictures of 10x20 pixels are scaled to 10x10."]);
    assert!(images(&data).pixels.iter().all(|&pixel| pixel == 9));
}

#[test]
fn folders_and_archives_of_pictures() {
    let rgba = png(8, 16, png::ColorType::Rgba, &[100, 200, 0, 0].repeat(128));
    let mut files: Vec<(String, Vec<u8>)> = (0..6).map(|i| (format!("pets/cat/{i}.png"), gray(10))).collect();
    files.extend((0..6).map(|i| (format!("pets/dog/{i}.jpg"), JPEG.to_vec())));
    files.push(("pets/dog/clear.png".into(), rgba));
    files.push(("pets/.DS_Store".into(), vec![1, 2, 3]));
    files.push(("pets/read me.txt".into(), vec![65]));
    let own = OwnFile::read("pets", files.clone(), &ImportOptions::default()).unwrap();
    let data = own.load(&own.spec().unwrap(), 1).unwrap();
    assert_eq!(data.classes(), ["cat", "dog"]);
    assert_eq!(images(&data).shape, [3, 8, 8]);
    assert_eq!(
        data.info.notes,
        ["1 pictures are cut to a square and scaled to 8x8.", "2 files that are not pictures are left out."]
    );
    let first = |picture: &[u8]| [picture[0], picture[64], picture[128]];
    let mut pictures: Vec<[u8; 3]> = images(&data).pixels.chunks(192).map(first).collect();
    pictures.sort_unstable();
    assert_eq!(pictures[0], [10; 3]);
    let [r, g, b] = pictures[6];
    assert!(r.abs_diff(200) < 8 && g.abs_diff(30) < 8 && b.abs_diff(10) < 8, "{r} {g} {b}");
    // What is transparent lies on white.
    assert_eq!(pictures[12], [255; 3]);
    // The same in an archive and in another order: the same set, but for its name.
    let mut entries: Vec<(&str, Vec<u8>)> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    entries.reverse();
    let zipped = read("pets.zip", zip(&entries)).unwrap();
    assert_eq!(zipped.values, data.values);
    // Gray pictures stay gray.
    let gray: Vec<(String, Vec<u8>)> = (0..12).map(|i| (format!("{}/{i}.png", i % 2), gray(i))).collect();
    let gray: Vec<(&str, &[u8])> = gray.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let data = read_folder(&gray).unwrap();
    assert_eq!(images(&data).shape, [1, 8, 8]);
    assert_eq!((data.range(Split::Train).len(), data.range(Split::Test).len()), (11, 1));
}

#[test]
fn a_spec_says_how_an_own_file_was_read() {
    let file = lines("a,b,c", 30, |i| format!("{i},{i},{}", i % 2));
    let options = columns(&["b"], "c");
    let own = OwnFile::read("t.csv", vec![("t.csv".into(), file.into_bytes())], &options).unwrap();
    let spec = own.spec().unwrap();
    assert_eq!((spec.set, spec.content), (DataSet::Own, Content::Table));
    assert_eq!((spec.file.as_str(), spec.columns.as_str(), spec.target.as_str()), ("t.csv", "b", "c"));
    assert_eq!(spec.hash.len(), 16);
    // SHA-256 of "abc" starts so.
    assert_eq!(hash(&[("f".into(), b"abc".to_vec())]), "ba7816bf8f01cfea");
    let fewer = own.load(&DataSpec { train: 8, test: 2, ..spec }, 1).unwrap();
    assert_eq!((fewer.train.len(), fewer.test.len(), fewer.info.available), (8, 2, 26));
}

#[test]
fn bad_files_are_named() {
    let none = ImportOptions::default;
    let good = lines("x,y", 20, |i| format!("{i},{}", i % 2));
    let with = |line: usize, cells: &str| {
        let mut all: Vec<&str> = good.lines().collect();
        all[line - 1] = cells;
        all.join("\n").into_bytes()
    };
    let y = npy("|u1", "(10,)", &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let x = || npy("<f4", "(10, 1)", &f32s([0.0; 10]));
    let cases: Vec<(&str, Vec<u8>, ImportOptions, &str)> = vec![
        ("t.csv", vec![], none(), "t.csv: is empty"),
        ("t.csv", b" \n \n".to_vec(), none(), "t.csv: is empty"),
        ("t.csv", b"x,y\n".to_vec(), none(), "t.csv: has 0 rows; at least 10 are needed"),
        ("t.csv", with(5, "1,2,3"), none(), "t.csv, line 5: has 3 cells, where line 1 has 2"),
        ("t.csv", with(5, "1"), none(), "t.csv, line 5: has 1 cells, where line 1 has 2"),
        ("t.csv", with(9, "-inf,1"), none(), "t.csv, line 9, column x: \"-inf\" is not a finite number"),
        ("t.csv", with(9, "1e99,1"), none(), "t.csv, line 9, column x: \"1e99\" is not a finite number"),
        (
            "t.csv",
            good.clone().into_bytes(),
            columns(&["z"], ""),
            "t.csv: there is no column \"z\"; the columns are x, y",
        ),
        (
            "t.csv",
            good.clone().into_bytes(),
            columns(&["y"], "y"),
            "t.csv: has no column to learn from beside its target",
        ),
        (
            "t.csv",
            lines("x,y", 20, |i| format!("{i},1")).into_bytes(),
            none(),
            "t.csv, column y: has only one class, \"1\"; at least two are needed",
        ),
        (
            "t.csv",
            lines("x,y", 2100, |i| format!("{i},n{i}")).into_bytes(),
            columns(&["x"], "y"),
            "t.csv, column y: has 2100 classes; at most 2000 can be told",
        ),
        (
            "t.csv",
            lines("x,y", 20, |i| format!("{},{}", if i < 12 { "" } else { "1" }, i % 2)).into_bytes(),
            none(),
            "t.csv: has no column to learn from beside its target. Column x is left out: it has no value in 12 of 20 rows",
        ),
        (
            "t.csv",
            lines("x,y", 20, |i| format!("{},{}", if i < 12 { "" } else { "1" }, i % 2)).into_bytes(),
            columns(&["x"], "y"),
            "t.csv, line 2, column x: is empty, and most rows lack a value (12 of 20)",
        ),
        (
            "t.csv",
            [b"x,y\n1,2\n3,".as_slice(), &[0xff, 0x01]].concat(),
            none(),
            "t.csv, line 3: byte 0xff is not UTF-8 text; save the file as UTF-8",
        ),
        ("s.csv", with(9, ",1"), series(), "s.csv, line 9, column x: is empty; a time series must have no gaps"),
        (
            "s.csv",
            with(9, "1,no"),
            ImportOptions { target: "y".into(), ..series() },
            "s.csv, column y: holds text (line 9: \"no\"); a series needs numbers",
        ),
        ("a.txt", b"short".to_vec(), none(), "a.txt: has 5 characters; at least 1000 are needed"),
        (
            "a.txt",
            [b"a\n".repeat(800), vec![0]].concat(),
            none(),
            "a.txt, line 801: holds a zero byte; this is not a text file",
        ),
        ("a.txt", vec![0xc3, 1], none(), "a.txt, line 1: byte 0xc3 is not UTF-8 text; save the file as UTF-8"),
        ("a.txt", vec![0xff, 0xfe, 0, 0xd8], none(), "a.txt: is damaged UTF-16 text; save the file as UTF-8"),
        ("a.txt.gz", vec![0x1f, 0x8b, 8, 0], none(), "a.txt.gz: is compressed with gzip; unpack it first"),
        (
            "cat.jpg",
            JPEG.to_vec(),
            none(),
            "cat.jpg: is one picture; drop a folder or zip archive with a folder of pictures for each class",
        ),
        ("x.npy", x(), none(), "x.npy: is one array; save inputs x and labels y together with numpy.savez_compressed"),
        (
            "t.csv",
            good.into_bytes(),
            ImportOptions { content: Some(Content::Images), ..none() },
            "t.csv: is not a folder or archive of pictures",
        ),
        ("a.zip", zip(&[]), none(), "a.zip: is an archive without files"),
        ("a.zip", zip(&[("b/c.md", vec![65])]), none(), "a.zip: has no PNG or JPEG picture among 1 files"),
        ("a.zip", zip(&[("b/c.txt", vec![65])]), none(), "a.zip: has 1 characters; at least 1000 are needed"),
        (
            "a.zip",
            zip(&[("b/c.csv", vec![65]), ("b/d.csv", vec![65])]),
            none(),
            "a.zip: holds several tables (b/c.csv, b/d.csv); bring one of them",
        ),
        (
            "a.zip",
            zip(&[("c.png", gray(1))]),
            none(),
            "a.zip, entry c.png: is not in a folder; the folder of a picture names its class",
        ),
        (
            "a.zip",
            zip(&[("b/c.gif", b"GIF89a".to_vec())]),
            none(),
            "a.zip, entry b/c.gif: is not a PNG or JPEG picture; convert it to one of these",
        ),
        (
            "a.zip",
            zip(&[("b/c.png", gray(1))]),
            none(),
            "a.zip, names of folders: has only one class, \"b\"; at least two are needed",
        ),
        (
            "a.zip",
            zip(&[("b/c.png", gray(1)), ("d/e.png", gray(1)[..60].to_vec())]),
            none(),
            "a.zip, entry d/e.png: damaged PNG: ",
        ),
        (
            "a.zip",
            zip(&[("b/c.png", gray(1)), ("d/e.jpg", JPEG[..30].to_vec())]),
            none(),
            "a.zip, entry d/e.jpg: damaged JPEG: ",
        ),
        (
            "a.zip",
            zip(&[("b/c.png", gray(1)), ("d/e.png", gray(1))]),
            none(),
            "a.zip: has 2 usable examples; at least 10 are needed, and two of some class",
        ),
        ("a.npz", zip(&[("b.txt", vec![65])]), none(), "a.npz: has no arrays"),
        ("a.npz", b"PK\x03\x04".to_vec(), none(), "a.npz: is not a readable zip archive: "),
        (
            "a.npz",
            npz(npy("<f4", "(60000, 28, 28)", &[0; 100]), y.clone()),
            none(),
            "a.npz: it is not clear which array holds the inputs; it has y [10], x (it claims shape [60000, 28, 28], which needs 188160000 bytes, but holds 100)",
        ),
        (
            "a.npz",
            npz(npy("<f8", "(99999999999, 99999999999)", &[0; 8]), y.clone()),
            none(),
            "a.npz: it is not clear which array holds the inputs; it has y [10], x (it claims shape [99999999999, 99999999999], which needs more bytes than can be counted, but holds 8)",
        ),
        (
            "a.npz",
            npz(npy("|u1", "(0, 99999999999, 99999999999)", &[]), y.clone()),
            none(),
            "a.npz: it is not clear which array holds the inputs; it has y [10], x (it is empty: its shape is [0, 99999999999, 99999999999])",
        ),
        (
            "a.npz",
            npz(npy("|O", "(10, 1)", &[0; 10]), y.clone()),
            none(),
            "a.npz: it is not clear which array holds the inputs; it has y [10], x (it holds values of type |O; numbers (u1 to u8, i1 to i8, f4, f8) can be read)",
        ),
        (
            "a.npz",
            npz(npy("<f4", "(1e3,)", &[0; 10]), y.clone()),
            columns(&["x"], ""),
            "a.npz, array x: has \"1e3\" in its shape",
        ),
        (
            "a.npz",
            npz(b"\x93NUMPY\x01\x00\xff\xff{}".to_vec(), y.clone()),
            columns(&["x"], ""),
            "a.npz, array x: ends within its header",
        ),
        (
            "a.npz",
            npz(b"junk".to_vec(), y.clone()),
            columns(&["x"], ""),
            "a.npz, array x: does not start as a NumPy array",
        ),
        ("a.npz", zip(&[("x.npy", vec![1])]), none(), "a.npz, array x: does not start as a NumPy array"),
        (
            "a.npz",
            zip(&[("u.npy", y.clone()), ("v.npy", y.clone())]),
            none(),
            "a.npz: it is not clear which array holds the inputs; it has u [10], v [10]",
        ),
        ("a.npz", npz(x(), y.clone()), columns(&["w"], ""), "a.npz: there is no array w; it has x [10, 1], y [10]"),
        (
            "a.npz",
            npz(npy("|u1", "(9, 1)", &[0; 9]), y.clone()),
            none(),
            "a.npz, array y: has shape [10]; one label for each of the 9 rows of x is needed",
        ),
        (
            "a.npz",
            npz(npy("<f4", "(10, 1)", &f32s((0..10).map(|i| if i == 3 { f32::NAN } else { 0.0 }))), y.clone()),
            none(),
            "a.npz, array x: row 3, column 0: NaN is not a finite number",
        ),
        (
            "a.npz",
            npz(x(), npy("<f4", "(10,)", &f32s([f32::INFINITY; 10]))),
            none(),
            "a.npz, array y, row 0: inf is not a finite number",
        ),
        (
            "a.npz",
            npz(x(), npy("|u1", "(10,)", &[4; 10])),
            none(),
            "a.npz, array y: has only one class, \"4\"; at least two are needed",
        ),
        (
            "a.npz",
            npz(npy("<i2", "(10, 8, 8)", &300_i16.to_le_bytes().repeat(640)), y.clone()),
            none(),
            "a.npz, array x: picture 0: pixel 300 is out of range; 0 to 255, or 0 to 1, can be read",
        ),
        (
            "a.npz",
            npz(npy("|u1", "(10, 2, 2, 2)", &[0; 80]), y),
            none(),
            "a.npz, array x: has shape [10, 2, 2, 2]; rows [N, columns] or pictures [N, height, width] with 1 or 3 channels can be read",
        ),
    ];
    for (name, bytes, options, message) in cases {
        let error = read_as(name, bytes, options).expect_err(message).to_string();
        // Where a message ends in a library's own words, only its beginning is ours.
        let as_expected = if message.ends_with(": ") { error.starts_with(message) } else { error == message };
        assert!(as_expected, "{error:?} instead of {message:?}");
    }
}

#[test]
fn an_archive_that_inflates_without_end_is_stopped() {
    let bomb = zip(&[("b/c.png", vec![0; MAX_BYTES / 2 + 1]), ("b/d.png", vec![0; MAX_BYTES / 2 + 1])]);
    assert!(bomb.len() < 1 << 20);
    let error = read("a.zip", bomb).unwrap_err().to_string();
    assert_eq!(error, "a.zip, entry b/d.png: with it the archive inflates to more than 256 MB");
}

#[test]
fn what_is_too_large_is_said() {
    let error = read("big.txt", vec![b'a'; MAX_BYTES + 1]).unwrap_err().to_string();
    assert_eq!(error, "big.txt: has 257 MB; at most 256 MB can be read");
    let error = read("big.txt", vec![b'a'; MAX_PLACES + 1]).unwrap_err().to_string();
    assert_eq!(
        error,
        "big.txt: has 16777217 characters; at most 16777216 can be read: split the file and bring a part of it"
    );
    let series = ImportOptions { content: Some(Content::Series), ..ImportOptions::default() };
    let error = read_as("big.csv", "1\n".repeat(MAX_PLACES + 1), series).unwrap_err().to_string();
    assert_eq!(
        error,
        "big.csv: has 16777217 time steps; at most 16777216 can be read: split the file and bring a part of it"
    );
    let wide = png(8, 1, png::ColorType::Grayscale, &[0; 8]);
    let mut huge = wide.clone();
    huge[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let crc = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.to_be_bytes());
    let error = read_folder(&[("a/1.png", &wide), ("b/2.png", &huge)]).unwrap_err().to_string();
    assert_eq!(error, "pets, entry b/2.png: has 65536x65536 pixels; 1 to 40 million can be read");
}

/// Checksum of a PNG chunk.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        kind in 0..5_usize,
        start in 0..6_usize,
    ) {
        let name = ["t.csv", "a.npz", "a.zip", "a.txt", "a"][kind];
        let start: &[u8] = [&b""[..], b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"x,y\n"][start];
        let bytes = [start, &bytes].concat();
        let _ = read(name, &bytes);
        let _ = read_as(name, &bytes, series());
        let _ = read_folder(&[("a/1.png", &bytes), ("b/2.jpg", &bytes)]);
        let _ = read("a.npz", npz(bytes.clone(), npy("|u1", "(10,)", &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1])));
    }

    #[test]
    fn arbitrary_tables_never_panic(
        text in "([0-9a-z.,;\t\"\n-]|nan|1e9){0,300}",
        target in prop::option::of("[a-z]"),
    ) {
        let options = columns(&[], &target.unwrap_or_default());
        let _ = read_as("t.csv", &text, options.clone());
        let _ = read_as("t.csv", &text, ImportOptions { content: Some(Content::Series), ..options });
        let _ = read("a.txt", text.repeat(20));
    }

    #[test]
    fn changed_archives_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let y = npy("|u1", "(10,)", &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
        let mut arrays = npz(npy("|u1", "(10, 3, 8, 8)", &[9; 1920]), y.clone());
        let place = at.index(arrays.len());
        arrays[place] = byte;
        let _ = read("a.npz", arrays);
        // Within an array, where no checksum of the archive covers the change.
        let mut array = npy("|u1", "(10, 3, 8, 8)", &[9; 1920]);
        let place = at.index(90);
        array[place] = byte;
        let _ = read("a.npz", npz(array, y));
    }

    #[test]
    fn changed_pictures_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), length in any::<prop::sample::Index>()) {
        let mut jpeg = JPEG.to_vec();
        let place = at.index(jpeg.len());
        jpeg[place] = byte;
        jpeg.truncate(length.index(jpeg.len()) + 1);
        let mut png = gray(7);
        let place = at.index(png.len());
        png[place] = byte;
        let _ = read_folder(&[("a/1.jpg", &jpeg), ("b/2.png", &gray(1))]);
        let _ = read_folder(&[("a/1.jpg", JPEG), ("b/2.png", &png)]);
    }
}
