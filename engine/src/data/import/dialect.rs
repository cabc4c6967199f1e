//! How a table is written: what parts its cells, and how its numbers look.

use csv::StringRecord;

/// Records that are looked at to decide.
const SAMPLE: usize = 1000;
/// What parts cells, in the order in which equals are preferred.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// What stands for a value that is missing, in a column of numbers.
const MARKERS: [&str; 11] = ["na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nil", "?", "-", "."];

/// How the cells of a table are parted and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// What stands between cells.
    pub delimiter: u8,
    /// Whether numbers have a decimal comma.
    pub comma: bool,
}

/// A table's text without what only says how to read it.
pub(super) struct Written {
    /// Header and rows.
    pub text: String,
    /// How to read them.
    pub dialect: Dialect,
    /// Lines of the file before them.
    pub skipped: u64,
}

impl Written {
    /// Finds out how a text is written.
    pub(super) fn of(mut text: String) -> Self {
        if let Some((delimiter, length)) = separator_line(&text) {
            text.drain(..length);
            let dialect = Dialect { delimiter, comma: false }.with_decimals(&text);
            return Self { text, dialect, skipped: 1 };
        }
        let delimiter = match delimiter(&text) {
            Some(delimiter) => delimiter,
            None => match blanks_to_tabs(&text) {
                Some(tabbed) => {
                    text = tabbed;
                    b'\t'
                }
                None => commonest(&text),
            },
        };
        let dialect = Dialect { delimiter, comma: false }.with_decimals(&text);
        Self { text, dialect, skipped: 0 }
    }
}

impl Dialect {
    /// Records of a text; rows may differ in length.
    pub(super) fn reader(self, text: &str, header: bool) -> csv::Reader<&[u8]> {
        csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(header)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes())
    }

    /// A cell as a number; `inf` counts as one here, so that it is refused where it stands.
    pub(super) fn number(self, cell: &str) -> Option<f64> {
        if self.comma && cell.contains(',') {
            return decimal_comma(cell);
        }
        cell.parse().ok().filter(|value: &f64| !value.is_nan())
    }

    /// The same, reading decimal commas where the text has them.
    fn with_decimals(self, text: &str) -> Self {
        let comma = self.delimiter != b',' && {
            let mut found = false;
            self.sample(text, |cell| found |= decimal_comma(cell).is_some());
            found
        };
        Self { comma, ..self }
    }

    /// Visits cells of the first records.
    fn sample(self, text: &str, mut visit: impl FnMut(&str)) {
        let mut reader = self.reader(text, false);
        let mut record = StringRecord::new();
        for _ in 0..SAMPLE {
            match reader.read_record(&mut record) {
                Ok(true) => record.iter().for_each(&mut visit),
                _ => return,
            }
        }
    }

    /// Cells of a record, if all of the first records have as many, and more than one.
    fn width(self, text: &str) -> Option<usize> {
        let mut reader = self.reader(text, false);
        let mut record = StringRecord::new();
        let mut width = None;
        for _ in 0..SAMPLE {
            match reader.read_record(&mut record) {
                Ok(true) if *width.get_or_insert(record.len()) != record.len() => return None,
                Ok(true) => {}
                _ => break,
            }
        }
        width.filter(|&width| width > 1)
    }
}

/// Whether a cell stands for a value that is missing among numbers.
pub(super) fn is_marker(cell: &str) -> bool {
    MARKERS.iter().any(|marker| cell.eq_ignore_ascii_case(marker)) || cell == "--"
}

/// `sep=;` in the first line, as Excel writes and obeys it: the delimiter, and the line's length.
fn separator_line(text: &str) -> Option<(u8, usize)> {
    let end = text.find(['\n', '\r'])?;
    let line = text[..end].trim_matches('"');
    let separator = line.get(..4).filter(|start| start.eq_ignore_ascii_case("sep=")).map(|_| &line[4..])?;
    let delimiter = match separator.as_bytes() {
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && *byte != b'"' => *byte,
        b"\\t" => b'\t',
        _ => return None,
    };
    let length = if text[end..].starts_with("\r\n") { end + 2 } else { end + 1 };
    Some((delimiter, length))
}

/// What cuts every record into as many cells. Where several do, a comma that is part of numbers is not one; then the
/// commonest in the first line counts.
fn delimiter(text: &str) -> Option<u8> {
    let fitting: Vec<(u8, usize)> = DELIMITERS
        .into_iter()
        .filter_map(|delimiter| Some((delimiter, Dialect { delimiter, comma: false }.width(text)?)))
        .collect();
    let among_numbers = fitting.iter().find(|(delimiter, _)| {
        *delimiter != b',' && fitting.iter().any(|(other, _)| *other == b',') && commas_are_decimal(text, *delimiter)
    });
    if let Some((delimiter, _)) = among_numbers {
        return Some(*delimiter);
    }
    let usual = commonest(text);
    if fitting.iter().any(|(delimiter, _)| *delimiter == usual) {
        return Some(usual);
    }
    fitting.iter().rev().max_by_key(|(_, width)| *width).map(|(delimiter, _)| *delimiter)
}

/// Whether all commas, but for those of the first record, are within numbers once cells are parted by `delimiter`.
fn commas_are_decimal(text: &str, delimiter: u8) -> bool {
    let dialect = Dialect { delimiter, comma: false };
    let first = dialect.width(text).unwrap_or_default();
    let (mut at, mut some, mut all) = (0_usize, false, true);
    dialect.sample(text, |cell| {
        at += 1;
        if cell.contains(',') {
            let decimal = decimal_comma(cell).is_some();
            some |= decimal;
            all &= decimal || at <= first;
        }
    });
    some && all
}

/// Tab, semicolon or comma, whichever the first line has most of; a comma where it has none of them.
fn commonest(text: &str) -> u8 {
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    let count = |delimiter: u8| line.bytes().filter(|&byte| byte == delimiter).count();
    // The last of equals wins.
    [b'\t', b';', b','].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',')
}

/// `1,5` and `1.234,5` as numbers; none without a comma.
fn decimal_comma(cell: &str) -> Option<f64> {
    let (whole, fraction) = cell.split_once(',')?;
    let digits = whole.trim_start_matches(['+', '-']);
    let grouped = digits.split('.').skip(1).all(|group| group.len() == 3);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !grouped || !plain || !fraction.starts_with(|first: char| first.is_ascii_digit()) || fraction.contains('.') {
        return None;
    }
    format!("{}.{fraction}", whole.replace('.', "")).parse().ok()
}

/// A text whose cells are parted by any number of blanks, with tabs in their place; none if its lines do not have equally
/// many cells. A first line with one cell less names all columns but the first, as R writes it.
fn blanks_to_tabs(text: &str) -> Option<String> {
    let mut lines = text.split(['\n', '\r']).map(cells).filter(|cells| !cells.is_empty());
    let (first, second) = (lines.next()?, lines.next()?);
    let width = second.len();
    if width < 2 || !(width - 1..=width).contains(&first.len()) {
        return None;
    }
    let mut tabbed = String::with_capacity(text.len());
    if first.len() < width {
        tabbed.push('\t');
    }
    for cells in [first, second].into_iter().chain(lines) {
        if !(cells.len() == width || tabbed.len() <= 1) {
            return None;
        }
        tabbed.push_str(&cells.join("\t"));
        tabbed.push('\n');
    }
    Some(tabbed)
}

/// The cells of a line between blanks; blanks within quotes do not part.
fn cells(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let parted = line.split(move |symbol: char| {
        quoted ^= symbol == '"';
        !quoted && symbol.is_whitespace()
    });
    parted.filter(|cell| !cell.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (u8, bool, u64) {
        let Written { dialect, skipped, .. } = Written::of(text.into());
        (dialect.delimiter, dialect.comma, skipped)
    }

    #[test]
    fn delimiters_are_what_cuts_every_line_alike() {
        assert_eq!(of("a,b;c\n1,2\n3,4\n"), (b',', false, 0));
        assert_eq!(of("a;b\n1;2\n"), (b';', false, 0));
        assert_eq!(of("a|b|c\r1|2|3\r4|5|6"), (b'|', false, 0));
        assert_eq!(of("\"a,\nb\"\tc\n1\t2\n"), (b'\t', false, 0));
        assert_eq!(of("one column\n1\n2\n"), (b',', false, 0));
        // Ragged lines are complained of as what they look like.
        assert_eq!(of("a,b\n1,2,3\n1,2\n"), (b',', false, 0));
    }

    #[test]
    fn a_first_line_can_name_the_delimiter() {
        assert_eq!(of("sep=;\r\na,b;c\r\n1;2\r\n"), (b';', false, 1));
        assert_eq!(of("\"SEP=\\t\"\na\tb\n"), (b'\t', false, 1));
        assert_eq!(of("sep=a\n1\n"), (b',', false, 0));
        assert_eq!(Written::of("sep=|\na|b\n1|2\n".into()).text, "a|b\n1|2\n");
    }

    #[test]
    fn commas_can_be_decimal_points() {
        assert_eq!(of("Breite, cm;y\n0,5;1\n-1,25;2\n"), (b';', true, 0));
        assert_eq!(of("0,1;0,2\n0,3;0,4\n"), (b';', true, 0));
        assert_eq!(of("name,place\na;b,c;d\n"), (b',', false, 0));
        let german = Dialect { delimiter: b';', comma: true };
        assert_eq!(german.number("-0,5"), Some(-0.5));
        assert_eq!(german.number("1.234,5"), Some(1234.5));
        assert_eq!(german.number("1,2e3"), Some(1200.0));
        assert_eq!(german.number("1,2,3"), None);
        assert_eq!(german.number("1.5"), Some(1.5));
        assert_eq!(Dialect { delimiter: b';', comma: false }.number("0,5"), None);
    }

    #[test]
    fn blanks_part_cells_where_nothing_else_does() {
        let written = Written::of("a  b c\n 1 2   \"x y\"\n3  4 z\n".into());
        assert_eq!((written.dialect.delimiter, written.text.as_str()), (b'\t', "a\tb\tc\n1\t2\t\"x y\"\n3\t4\tz\n"));
        assert_eq!(Written::of("a b\n1 2 3\n2 3 4\n".into()).text, "\ta\tb\n1\t2\t3\n2\t3\t4\n");
        assert_eq!(of("a b\n1\n2\n"), (b',', false, 0));
        assert_eq!(of("a b\n1 2\n1 2 3\n"), (b',', false, 0));
    }

    #[test]
    fn words_are_no_numbers() {
        let plain = Dialect { delimiter: b',', comma: false };
        assert_eq!(["nan", "NaN", "-nan", "NA", "", "1,5", "e5"].map(|cell| plain.number(cell)), [None; 7]);
        assert_eq!(plain.number("-inf"), Some(f64::NEG_INFINITY));
        assert_eq!([".5", "+3", "1e-3"].map(|cell| plain.number(cell)), [Some(0.5), Some(3.0), Some(0.001)]);
        assert!(is_marker("NaN") && is_marker("?") && is_marker("--") && !is_marker("") && !is_marker("0"));
    }
}
