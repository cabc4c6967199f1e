//! Files as people bring them, in the form of public bug reports of other tools: each stands for its kind.

use super::tests::{
    JPEG, columns, f32s, gray, images, lines, npy, npz, png, read, read_as, read_folder, series, table, zip,
};
use super::*;
use crate::data::{Series, Text};

fn open(name: &str, bytes: impl AsRef<[u8]>) -> OwnFile {
    OwnFile::open(name, vec![(name.into(), bytes.as_ref().to_vec())], None).unwrap()
}

/// A column whose sign is the class.
fn value(i: usize) -> f64 {
    ((i * 37) % 40) as f64 / 20.0 - 0.975
}

fn sign(i: usize) -> &'static str {
    if value(i) > 0.0 { "yes" } else { "no" }
}

/// The columns' names, and the likely target.
fn asked(text: &str) -> (Vec<String>, String) {
    let choice = open("t.csv", text).choice().unwrap();
    (choice.columns.into_iter().map(|column| column.name).collect(), choice.target)
}

#[test]
fn long_lists_of_columns_stay_within_a_link() {
    // As Kaggle's digits: 785 columns, whose names alone are over 4,000 characters.
    let header = (0..784).fold("label".to_owned(), |names, i| format!("{names},{}x{}", i / 28 + 1, i % 28 + 1));
    let file = lines(&header, 20, |i| format!("{}{}", i % 10 + 1, ",0".repeat(783)) + &format!(",{i}"));
    let mut own = open("digits.csv", &file);
    assert_eq!(own.choice().unwrap().target, "label");
    let all: Vec<String> = own.inspect()[1..].iter().map(|column| column.name.clone()).collect();
    for left_out in [0, 1, 700] {
        let (spec, data) =
            own.choose(&ImportOptions { columns: all[left_out..].to_vec(), ..columns(&[], "label") }).unwrap();
        assert!(spec.columns.len() <= MAX_LIST);
        assert_eq!(spec.columns.is_empty(), left_out == 0);
        assert_eq!(table(&data).columns, all[left_out..]);
        // What the link says is taken as it is.
        let run = crate::spec::RunSpec { data: spec.clone(), ..crate::spec::RunSpec::default() };
        let (mut read, first) = (run.clone(), run.data.clone());
        read.sanitize();
        assert_eq!(read.data, first);
    }
    let long = lines(&all.join(","), 20, |i| format!("{i}{}", ",1".repeat(783)));
    let mut own = open("long.csv", long.replace("1x", &"long name ".repeat(9)));
    let names: Vec<String> = own.inspect().iter().map(|column| column.name.clone()).step_by(2).collect();
    let error = own.choose(&ImportOptions { columns: names, ..columns(&[], "") }).unwrap_err().to_string();
    assert!(error.contains("longer than the 4000 characters that a link holds"), "{error}");
}

#[test]
fn long_names_stay_within_a_link() {
    let long = "n".repeat(300);
    let name = format!("{long}.csv");
    let file = lines(&format!("{long},{long}"), 20, |i| format!("{i},{}", i % 2));
    let mut own = open(&name, &file);
    let target = own.inspect()[1].name.clone();
    let (spec, data) = own.choose(&columns(&[], &target)).unwrap();
    let mut run = crate::spec::RunSpec { data: spec.clone(), ..crate::spec::RunSpec::default() };
    run.sanitize();
    assert_eq!(run.data, spec);
    assert_eq!(data.classes(), ["0", "1"]);
}

#[test]
fn headers_are_told_from_data() {
    let rows = |header: &str| lines(header, 40, |i| format!("{},{}", value(i), sign(i)));
    let headerless = rows("0.5,yes");
    assert_eq!(asked(&headerless), (vec!["column 1".into(), "column 2".into()], "column 2".into()));
    assert_eq!(read("t.csv", &headerless).unwrap().classes(), ["no", "yes"]);
    for (header, name) in [
        ("\"width\n(cm)\",label", "width (cm)"),
        ("\"the \"\"x\"\" value\",label", "the \"x\" value"),
        ("a,b;c", "a"),
        ("inf,label", "inf"),
        ("nan,label", "nan"),
        ("\"a, b\",label", "a, b"),
    ] {
        let text = rows(header);
        assert_eq!(asked(&text).0[0], name);
        let mut own = open("t.csv", &text);
        let (spec, _) = own.choose(&columns(&[name], "")).unwrap();
        assert_eq!(
            own.load(&DataSpec { columns: spec.columns.clone(), ..spec.clone() }, 1).unwrap().classes().len(),
            2
        );
        let cr = open("t.csv", text.replace('\n', "\r"));
        assert_eq!(cr.inspect().len(), 2);
    }
    // Equal names, a header of more than 64 KB.
    assert_eq!(asked(&rows("x,x")).0, ["x", "x 2"]);
    let wide = (0..7000).map(|i| format!("a long name {i}")).collect::<Vec<_>>().join(",");
    let wide = lines(&wide, 12, |i| format!("{}{}", i % 2, format!(",{i}").repeat(6999)));
    assert_eq!(open("t.csv", wide).inspect().len(), 7000);
    // Earlier links have a blank where the name has a comma.
    let mut own = open("t.csv", rows("\"a,b\",label"));
    assert_eq!(table(&own.choose(&columns(&["a b"], "label")).unwrap().1).columns, ["a,b"]);
}

#[test]
fn delimiters_and_decimals_are_told() {
    let with = |first: &str, delimiter: &str| {
        let rows = lines("x,z,label", 40, |i| format!("{},{},{}", value(i), i % 2, sign(i)));
        first.to_owned() + &rows.replace(',', delimiter)
    };
    let plain = read("t.csv", with("", ",")).unwrap();
    for text in [with("sep=;\r\n", ";"), with("", "|"), with("", "  "), with("", "\t")] {
        assert_eq!(read("t.csv", text).unwrap().values, plain.values);
    }
    let german = with("", ";").replace('.', ",");
    let data = read("t.csv", &german).unwrap();
    assert_eq!(data.values, plain.values);
    assert_eq!(data.info.notes, ["Commas in numbers are read as decimal points."]);
    // An error behind a line that only names the delimiter gives the file's own line.
    let error = read("t.csv", with("sep=;\n", ";") + "1;2\n").unwrap_err().to_string();
    assert_eq!(error, "t.csv, line 43: has 2 cells, where line 2 has 3");
}

#[test]
fn one_column_is_a_series_and_a_forecast_needs_no_other() {
    let file = lines("value", 200, |i| format!("{}", (i as f64 / 5.0).sin()));
    assert!(open("s.csv", &file).choice().unwrap().series);
    let data = read("s.csv", &file).unwrap();
    let Values::Series(Series { columns: names, target: 0, .. }) = &data.values else { panic!("not a series") };
    assert_eq!(names, &["value"]);
    let two = lines("a,b,day", 100, |i| format!("{i},{},d{i}", i * i));
    let chosen = ImportOptions { content: Some(Content::Series), ..columns(&["a"], "a") };
    let data = read_as("s.csv", &two, chosen).unwrap();
    let Values::Series(Series { columns: names, .. }) = &data.values else { panic!("not a series") };
    assert_eq!(names, &["a"]);
    let data = read_as("s.csv", &two, series()).unwrap();
    let Values::Series(Series { columns: names, target: 1, .. }) = &data.values else { panic!("not a series") };
    assert_eq!(names, &["a", "b"]);
}

#[test]
fn large_and_small_numbers_keep_their_digits() {
    let file =
        |x: &dyn Fn(usize) -> String| lines("x,label", 40, |i| format!("{},{}", x(i), ["early", "late"][i / 20]));
    let plain = read("t.csv", file(&|i| i.to_string())).unwrap();
    let seconds = read("t.csv", file(&|i| format!("{}", 1_700_000_000 + i))).unwrap();
    let small = read("t.csv", file(&|i| format!("{}e-14", i))).unwrap();
    for data in [&seconds, &small] {
        let close = table(data).values.iter().zip(&table(&plain).values).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close, "{:?}", table(data).values);
    }
    // A target too.
    let target = |offset: f64| {
        let file = lines("x,y", 40, |i| format!("{},{}", i, offset + i as f64 / 4.0));
        let Target::Number { values, .. } = table(&read("t.csv", file).unwrap()).target.clone() else { panic!() };
        values
    };
    assert!(target(0.0).iter().zip(target(1.7e9)).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn classes_keep_every_digit() {
    let codes = |names: [&str; 2]| {
        let data = read("t.csv", lines("x,code", 40, |i| format!("{i},{}", names[i % 2]))).unwrap();
        data.classes().to_vec()
    };
    assert_eq!(codes(["16777217", "16777216"]), ["16777216", "16777217"]);
    assert_eq!(codes(["0012345678905", "4006381333931"]), ["0012345678905", "4006381333931"]);
    assert_eq!(codes(["123456789012345678902", "123456789012345678901"]).len(), 2);
    assert_eq!(codes(["1", "0"]), ["0", "1"]);
    // Equal numbers are one class.
    let signed = lines("x,y", 40, |i| format!("{i},{}", ["0", "-0", "1", "01", "1.0"][i % 5]));
    assert_eq!(read("t.csv", signed).unwrap().classes(), ["0", "1"]);
}

#[test]
fn missing_values_are_said() {
    let file = |gap: &str| {
        lines("age,x,label", 40, |i| {
            format!("{},{},{}", if i == 12 { gap.to_owned() } else { (20 + i).to_string() }, value(i), sign(i))
        })
    };
    let empty = read("t.csv", file("")).unwrap();
    assert_eq!(table(&empty).columns, ["age", "x"]);
    for gap in ["NA", "nan", "?", "null", "#N/A"] {
        let data = read("t.csv", file(gap)).unwrap();
        assert_eq!(data.values, empty.values);
        let note = format!("1 row that lacks a value is left out: it is line 14, where column age holds {gap:?}.");
        assert_eq!(data.info.notes, [note]);
        let choice = open("t.csv", file(gap)).choice().unwrap();
        assert_eq!((choice.columns[0].taken, choice.columns[0].text), (Taken::Number, false));
        assert_eq!(choice.columns[0].note, "1 of 40 rows have no value.");
    }
    // A word that nobody else uses: a category, unless a person says that it is a number.
    let odd = file("unknown");
    let kinds = |kind| ImportOptions { kinds: vec![("age".into(), kind)], ..columns(&["age", "x"], "label") };
    let mut own = open("t.csv", &odd);
    assert_eq!(own.choice().unwrap().columns[0].taken, Taken::Ignored);
    let (spec, data) = own.choose(&kinds(Taken::Number)).unwrap();
    assert_eq!((spec.kinds.as_str(), data.values), ("age=number", empty.values));
    // And numbers that are categories.
    let file = lines("zip,x,label", 40, |i| format!("{},{},{}", 10_000 + i % 3, value(i), sign(i)));
    let kind = ImportOptions { kinds: vec![("zip".into(), Taken::Category)], ..ImportOptions::default() };
    let data = read_as("t.csv", file, kind).unwrap();
    assert_eq!(table(&data).columns, ["zip=10000", "zip=10001", "zip=10002", "x"]);
    // A target of few numbers is a class, unless a person says otherwise; and the other way round.
    let file = lines("x,y", 40, |i| format!("{i},{}", i % 4));
    let kind = |kind| ImportOptions { kinds: vec![("y".into(), kind)], ..columns(&["x"], "y") };
    assert!(read_as("t.csv", &file, kind(Taken::Number)).unwrap().labels().is_none());
    let file = lines("x,y", 40, |i| format!("{i},{}.5", i % 4));
    assert!(read("t.csv", &file).unwrap().labels().is_none());
    assert_eq!(read_as("t.csv", &file, kind(Taken::Category)).unwrap().classes(), ["0.5", "1.5", "2.5", "3.5"]);
}

#[test]
fn an_index_is_left_out_and_said() {
    for (name, column, said) in [("", "column 1", "1"), ("Unnamed: 0", "Unnamed: 0", "Unnamed: 0"), ("id", "id", "id")]
    {
        let file = lines(&format!("{name},x,label"), 40, |i| format!("{i},{},{}", value(i), sign(i)));
        let data = read("t.csv", &file).unwrap();
        assert_eq!(table(&data).columns, ["x"]);
        assert_eq!(data.info.notes, [format!("Column {said} is left out: it only numbers the rows.")]);
        // Unless it is asked for.
        assert_eq!(table(&read_as("t.csv", &file, columns(&[column, "x"], "label")).unwrap()).columns, [column, "x"]);
    }
    // Seconds are no index.
    let file = lines("time,label", 40, |i| format!("{},{}", 1_700_000_000 + i, sign(i)));
    assert_eq!(table(&read("t.csv", file).unwrap()).columns, ["time"]);
}

#[test]
fn other_encodings_are_read_and_said() {
    let text = lines("Größe,Sorte", 40, |i| format!("{},{}", value(i), ["Äpfel", "Öl"][i % 2]));
    let latin: Vec<u8> = text.chars().map(|symbol| symbol as u8).collect();
    let note = |data: &Data| data.info.notes.first().cloned().unwrap_or_default();
    let data = read("t.csv", latin).unwrap();
    assert_eq!(data.classes(), ["Äpfel", "Öl"]);
    assert!(note(&data).contains("Windows-1252"));
    let units: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    for bytes in [[b"\xff\xfe", little.as_slice()].concat(), [b"\xfe\xff", big.as_slice()].concat(), little, big] {
        let data = read("t.csv", bytes).unwrap();
        assert_eq!(
            (data.classes().to_vec(), note(&data)),
            (vec!["Äpfel".into(), "Öl".into()], "The file is UTF-16 text.".into())
        );
    }
    // Accents apart or together are one class.
    let apart = lines("x,y", 40, |i| format!("{i},{}", ["A\u{308}", "\u{c4}", "B"][i % 3]));
    assert_eq!(read("t.csv", apart).unwrap().classes(), ["B", "\u{c4}"]);
}

#[test]
fn a_table_in_an_archive_is_read() {
    let file = lines("x,label", 40, |i| format!("{},{}", value(i), sign(i)));
    let plain = read("t.csv", &file).unwrap();
    let one = read("kaggle.zip", zip(&[("train.csv", file.clone().into_bytes())])).unwrap();
    assert_eq!((one.values, one.info.notes.len()), (plain.values.clone(), 0));
    let others =
        [("a/train.csv", file.into_bytes()), ("a/test.csv", b"x\n".to_vec()), ("__MACOSX/._train.csv", vec![0])];
    let several = read("kaggle.zip", zip(&others)).unwrap();
    assert_eq!(several.values, plain.values);
    assert_eq!(several.info.notes, ["Of 2 files, a/train.csv was read."]);
}

#[test]
fn paths_are_read_as_their_makers_meant_them() {
    let of = |name: &dyn Fn(usize) -> String| {
        let names: Vec<String> = (0..24).map(name).collect();
        let entries: Vec<(&str, Vec<u8>)> = names.iter().zip(0..).map(|(name, i)| (name.as_str(), gray(i))).collect();
        read("a.zip", zip(&entries)).unwrap().classes().to_vec()
    };
    assert_eq!(of(&|i| format!("./{}/{i}.png", ["left", "right"][i % 2])), ["left", "right"]);
    assert_eq!(of(&|i| format!("sides\\{}\\{i}.png", ["left", "right"][i % 2])), ["left", "right"]);
    assert_eq!(of(&|i| format!("{}/{i}.png", ["A\u{308}pfel", "Birnen"][i % 2])), ["Birnen", "\u{c4}pfel"]);
    let numbers: Vec<String> = (0..12).map(|i| i.to_string()).collect();
    assert_eq!(of(&|i| format!("{}/{i}.png", i % 12)), numbers);
}

#[test]
fn names_without_their_encoding_are_utf8_where_they_can_be() {
    // The names hold UTF-8 bytes while no flag says so.
    let names: Vec<String> = (0..20).map(|i| format!("{}/{i}.png", ["\u{c4}", "B"][i % 2])).collect();
    let entries: Vec<(&str, Vec<u8>)> = names.iter().zip(0..).map(|(name, i)| (name.as_str(), gray(i))).collect();
    let mut bytes = zip(&entries);
    for at in 0..bytes.len() - 9 {
        let flags = match &bytes[at..at + 4] {
            b"PK\x03\x04" => at + 7,
            b"PK\x01\x02" => at + 9,
            _ => continue,
        };
        bytes[flags] &= !0x08;
    }
    assert_eq!(read("a.zip", bytes).unwrap().classes(), ["B", "\u{c4}"]);
}

#[test]
fn pictures_are_the_way_up_that_viewers_show() {
    // The upper half is bright, stored upside down.
    let upright = png(8, 8, png::ColorType::Grayscale, &[[200; 32], [10; 32]].concat());
    let stored = png(8, 8, png::ColorType::Grayscale, &[[10; 32], [200; 32]].concat());
    let exif: &[u8] = b"eXIfMM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0";
    let chunk = [&((exif.len() - 4) as u32).to_be_bytes()[..], exif, &super::tests::crc32(exif).to_be_bytes()].concat();
    let turned = [&stored[..33], &chunk, &stored[33..]].concat();
    let paths: Vec<String> = (0..12).map(|i| format!("{}/{i}.png", i % 2)).collect();
    let files: Vec<(&str, &[u8])> = paths.iter().map(|path| (path.as_str(), turned.as_slice())).collect();
    let shown = read_folder(&files).unwrap();
    let files: Vec<(&str, &[u8])> = paths.iter().map(|path| (path.as_str(), upright.as_slice())).collect();
    assert_eq!(images(&shown).pixels, images(&read_folder(&files).unwrap()).pixels);
}

#[test]
fn a_few_damaged_pictures_are_left_out_by_name() {
    let cut = &JPEG[..JPEG.len() - 20];
    let paths: Vec<String> = (0..24).map(|i| format!("{}/{i:02}.jpg", ["a", "b"][i % 2])).collect();
    let files: Vec<(&str, &[u8])> =
        paths.iter().enumerate().map(|(i, path)| (path.as_str(), if i == 4 { cut } else { JPEG })).collect();
    let data = read_folder(&files).unwrap();
    assert_eq!(data.train.len() + data.test.len(), 23);
    assert_eq!(data.info.notes, ["Left out, as they cannot be read: a/04.jpg (damaged JPEG: the file is cut short)."]);
    let files: Vec<(&str, &[u8])> =
        paths.iter().enumerate().map(|(i, path)| (path.as_str(), if i < 4 { cut } else { JPEG })).collect();
    let error = read_folder(&files).unwrap_err().to_string();
    assert_eq!(error, "pets, entry a/00.jpg: damaged JPEG: the file is cut short");
}

#[test]
fn arrays_are_chosen_and_what_is_not_needed_is_left_out() {
    let x = || npy("<f4", "(20, 2)", &f32s((0..40).map(|i| i as f32)));
    let y = |values: [f32; 2]| npy("<f4", "(20,)", &f32s((0..20).map(|i| values[i % 2])));
    // Labels as in a table.
    assert_eq!(read("a.npz", npz(x(), y([-1.0, 1.0]))).unwrap().classes(), ["-1", "1"]);
    assert_eq!(read("a.npz", npz(x(), y([70_000.0, 3.0]))).unwrap().classes(), ["3", "70000"]);
    assert!(read("a.npz", npz(x(), y([0.5, 1.0]))).unwrap().labels().is_none());
    let codes: Vec<u8> = (0..20).flat_map(|i: i64| (9_007_199_254_740_992 + i % 2).to_le_bytes()).collect();
    let data = read_as("a.npz", npz(x(), npy("<i8", "(20, 1)", &codes)), columns(&["x"], "y")).unwrap();
    assert_eq!(data.classes(), ["9007199254740992", "9007199254740993"]);
    // Names as Keras gives them, with a choice.
    let keras = zip(&[
        ("x_train.npy", x()),
        ("y_train.npy", y([0.0, 1.0])),
        ("x_test.npy", x()),
        ("y_test.npy", y([0.0, 1.0])),
    ]);
    let choice = open("a.npz", &keras).choice().unwrap();
    assert_eq!((choice.inputs.as_str(), choice.target.as_str(), choice.columns.len()), ("x_train", "y_train", 4));
    assert_eq!(choice.columns[0].first, ["0", "1", "2", "3", "4"]);
    assert_eq!(read("a.npz", &keras).unwrap().info.notes, ["Arrays x_test, y_test are left out."]);
    let other = read_as("a.npz", &keras, columns(&["x_test"], "y_test")).unwrap();
    assert_eq!(table(&other).columns, ["x_test 1", "x_test 2"]);
    // Objects are left out with a note; two arrays leave nothing to choose.
    let objects = zip(&[("x.npy", x()), ("y.npy", y([0.0, 1.0])), ("meta.npy", npy("|O", "(20,)", &[0; 20]))]);
    assert_eq!(
        read("a.npz", &objects).unwrap().info.notes,
        ["Array meta is left out: it holds values of type |O; numbers (u1 to u8, i1 to i8, f4, f8) can be read."]
    );
    assert_eq!(open("a.npz", objects).choice(), None);
}

#[test]
fn pictures_of_bits_are_black_and_white() {
    let bits: Vec<u8> = (0..10 * 64).map(|i| (i % 2) as u8).collect();
    let y = npy("|u1", "(10,)", &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    for kind in ["|u1", "|b1", "|i1"] {
        let data = read("a.npz", npz(npy(kind, "(10, 8, 8)", &bits), y.clone())).unwrap();
        assert_eq!(images(&data).pixels[..4], [0, 255, 0, 255], "{kind}");
    }
}

#[test]
fn a_text_says_how_it_was_read() {
    let file: Vec<u8> = "The caf\u{e9} is open.\n".repeat(80).chars().map(|symbol| symbol as u8).collect();
    let data = read("a.txt", file).unwrap();
    let Values::Text(Text { vocabulary, .. }) = &data.values else { panic!("not text") };
    assert!(vocabulary.contains(&'\u{e9}') && data.info.notes[0].contains("Windows-1252"));
}

/// The reported files themselves, where the environment variable `MINIBATCH_REPORTS` says in which folder they are.
#[test]
fn reported_files_are_read() {
    let Some(folder) = std::env::var_os("MINIBATCH_REPORTS") else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".md") || name.ends_with(".safetensors") {
            continue;
        }
        let data = read(&name, std::fs::read(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        println!(
            "{name}: {} rows, {:?}, classes {:?}, {:?}",
            data.train.len(),
            data.row_shape(),
            data.classes(),
            data.info.notes
        );
        seen += 1;
    }
    assert!(seen > 20);
}
