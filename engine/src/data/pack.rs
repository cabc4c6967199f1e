//! Reads the web packs that `scripts/data` writes.
//!
//! ```text
//! magic "MBPK" | u32 version | u32 header length | header (JSON, UTF-8) | zlib stream of the arrays, one after another
//! ```
//! All numbers are little-endian. The zlib stream's checksum guards the payload. Images are `[N, height, width, channels]`.

use std::io::Read;
use std::ops::Range;

use flate2::read::ZlibDecoder;
use serde::Deserialize;

use super::prepare::standardise;
use super::{Attribute, Data, DataError, Images, Info, MAX_VOCABULARY, Series, Text, Values};

const MAGIC: &[u8] = b"MBPK";
const VERSION: u32 = 1;
/// No pack inflates beyond this many bytes.
const MAX_BYTES: usize = 256 << 20;

/// What a pack says of itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Header {
    /// The data set's id.
    pub name: String,
    /// Its name on the page.
    pub title: String,
    /// Licence of the data.
    pub licence: String,
    /// Whom to thank.
    pub attribution: String,
    /// The package that it was made from.
    pub source: String,
    /// How training and test rows were divided.
    pub split: String,
    /// What was changed in making it.
    #[serde(default)]
    pub note: String,
    /// Rows for training: first, and one after the last.
    pub train: [usize; 2],
    /// Rows for testing.
    pub test: [usize; 2],
    /// The arrays of the payload, in order.
    pub arrays: Vec<ArrayHeader>,
    /// SHA-256 of the inflated payload, hexadecimal.
    pub sha256: String,
    #[serde(flatten)]
    kind: Kind,
}

/// One array of the payload.
#[derive(Debug, Clone, Deserialize)]
pub struct ArrayHeader {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DType {
    U8,
    U16,
    U32,
    F32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Kind {
    /// Arrays `x` `[N, height, width, channels]`, `y` `[N]`, and one `[N]` for each attribute.
    Images {
        classes: Vec<String>,
        #[serde(default)]
        attributes: Vec<AttributeHeader>,
    },
    /// Array `tokens` `[N]`.
    Text { vocabulary: String },
    /// Array `values` `[N, columns]`.
    Series { columns: Vec<String>, target: usize, interval: String },
}

#[derive(Debug, Clone, Deserialize)]
struct AttributeHeader {
    name: String,
    values: Vec<String>,
}

/// Reads a whole pack.
///
/// # Errors
/// If the bytes are not a pack of this version, are cut short or damaged, or contradict their header.
pub fn read(bytes: &[u8]) -> Result<Data, DataError> {
    let (header, payload) = open(bytes)?;
    let place = format!("data pack {}", header.name);
    let fail = |reason: String| DataError::new(&place, reason);
    let arrays = Arrays::inflate(&header.arrays, payload).map_err(fail)?;
    let values = match &header.kind {
        Kind::Images { classes, attributes } => arrays.images(classes, attributes).map_err(fail)?,
        Kind::Text { vocabulary } => arrays.text(vocabulary).map_err(fail)?,
        Kind::Series { columns, target, interval } => {
            let train = header.train[0]..header.train[1];
            arrays.series(columns, *target, interval, train).map_err(fail)?
        }
    };
    let rows = header.arrays.first().and_then(|array| array.shape.first()).copied().unwrap_or(0);
    let [start, cut] = header.train;
    if start != 0 || cut == 0 || header.test[0] != cut || header.test[1] <= cut || header.test[1] != rows {
        return Err(fail(format!("train {:?} and test {:?} do not divide {rows} rows", header.train, header.test)));
    }
    Ok(Data {
        info: Info {
            title: header.title,
            licence: header.licence,
            attribution: header.attribution,
            source: header.source,
            split: header.split,
            available: cut,
            notes: if header.note.is_empty() { Vec::new() } else { vec![header.note] },
        },
        values,
        train: 0..cut,
        test: cut..rows,
    })
}

/// The header of a pack, and its compressed payload.
///
/// # Errors
/// If the bytes do not start as a pack of this version.
pub fn open(bytes: &[u8]) -> Result<(Header, &[u8]), DataError> {
    let fail = |reason: String| DataError::new("data pack", reason);
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| fail("not a data pack: it does not start with MBPK".into()))?;
    let (version, rest) = split_u32(rest).ok_or_else(|| fail("ends within its version".into()))?;
    if version != VERSION {
        return Err(fail(format!("version {version}; this program reads version {VERSION}")));
    }
    let (length, rest) = split_u32(rest).ok_or_else(|| fail("ends within its header length".into()))?;
    let (header, payload) = rest
        .split_at_checked(length as usize)
        .ok_or_else(|| fail(format!("the header should have {length} bytes but the file ends after {}", rest.len())))?;
    let header = serde_json::from_slice(header).map_err(|error| fail(format!("header: {error}")))?;
    Ok((header, payload))
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*word), rest))
}

impl DType {
    fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 | Self::F32 => 4,
        }
    }
}

/// The inflated payload and where each array lies in it.
struct Arrays<'a> {
    payload: Vec<u8>,
    places: Vec<(&'a ArrayHeader, Range<usize>)>,
}

impl<'a> Arrays<'a> {
    fn inflate(headers: &'a [ArrayHeader], compressed: &[u8]) -> Result<Self, String> {
        let mut places = Vec::with_capacity(headers.len());
        let mut end = 0_usize;
        for array in headers {
            if array.shape.contains(&0) {
                return Err(format!("array {} is empty: its shape is {:?}", array.name, array.shape));
            }
            let bytes = array.shape.iter().try_fold(array.dtype.bytes(), |product, &axis| product.checked_mul(axis));
            let start = end;
            end =
                bytes.and_then(|bytes| start.checked_add(bytes)).filter(|&end| end <= MAX_BYTES).ok_or_else(|| {
                    format!("array {}: shape {:?} is larger than {MAX_BYTES} bytes", array.name, array.shape)
                })?;
            places.push((array, start..end));
        }
        // One byte more than expected is asked for, so that a longer stream shows.
        let mut payload = Vec::new();
        ZlibDecoder::new(compressed)
            .take(end as u64 + 1)
            .read_to_end(&mut payload)
            .map_err(|error| format!("damaged payload: {error}"))?;
        if payload.len() != end {
            let than = if payload.len() < end { "less" } else { "more" };
            return Err(format!("the payload inflates to {than} than the {end} bytes of its arrays"));
        }
        Ok(Self { payload, places })
    }

    fn find(&self, name: &str) -> Result<(&'a ArrayHeader, &[u8]), String> {
        let place = self.places.iter().find(|(array, _)| array.name == name);
        let (array, range) = place.ok_or_else(|| format!("array {name} is missing"))?;
        Ok((array, &self.payload[range.clone()]))
    }

    /// An array `[rows]` of whole numbers below `bound`.
    fn indices(&self, name: &str, rows: usize, bound: usize) -> Result<Vec<u32>, String> {
        let (array, bytes) = self.find(name)?;
        if array.shape != [rows] {
            return Err(format!("array {name} has shape {:?}, not [{rows}]", array.shape));
        }
        let values: Vec<u32> = match array.dtype {
            DType::U8 => bytes.iter().map(|&byte| u32::from(byte)).collect(),
            DType::U16 => bytes.as_chunks().0.iter().map(|&pair| u32::from(u16::from_le_bytes(pair))).collect(),
            DType::U32 => bytes.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)).collect(),
            DType::F32 => return Err(format!("array {name} should hold whole numbers")),
        };
        match values.iter().position(|&value| value as usize >= bound) {
            Some(row) => Err(format!("array {name}, row {row}: {} is not below {bound}", values[row])),
            None => Ok(values),
        }
    }

    fn images(&self, classes: &[String], attributes: &[AttributeHeader]) -> Result<Values, String> {
        let (array, bytes) = self.find("x")?;
        let &[rows, height, width, channels] = array.shape.as_slice() else {
            return Err(format!("array x has shape {:?}, not [rows, height, width, channels]", array.shape));
        };
        if array.dtype != DType::U8 || !matches!(channels, 1 | 3) {
            return Err(format!("array x should hold bytes of gray or RGB images, not shape {:?}", array.shape));
        }
        let attributes = attributes.iter().map(|attribute| {
            Ok(Attribute {
                name: attribute.name.clone(),
                names: attribute.values.clone(),
                values: self.indices(&attribute.name, rows, attribute.values.len())?,
            })
        });
        Ok(Values::Images(Images {
            shape: [channels, height, width],
            pixels: channels_first(bytes, channels, height * width),
            labels: self.indices("y", rows, classes.len())?,
            classes: classes.to_vec(),
            attributes: attributes.collect::<Result<_, String>>()?,
        }))
    }

    fn text(&self, vocabulary: &str) -> Result<Values, String> {
        let vocabulary: Vec<char> = vocabulary.chars().collect();
        if vocabulary.len() > MAX_VOCABULARY || !vocabulary.is_sorted_by(|a, b| a < b) {
            return Err(format!("the vocabulary should be at most {MAX_VOCABULARY} characters in ascending order"));
        }
        let rows = self.find("tokens")?.0.shape.first().copied().unwrap_or(0);
        Ok(Values::Text(Text { tokens: self.indices("tokens", rows, vocabulary.len())?, vocabulary }))
    }

    fn series(&self, columns: &[String], target: usize, interval: &str, train: Range<usize>) -> Result<Values, String> {
        let (array, bytes) = self.find("values")?;
        if array.dtype != DType::F32 || array.shape.len() != 2 || array.shape[1] != columns.len() || columns.is_empty()
        {
            return Err(format!("array values should be f32 [rows, {}], not {:?}", columns.len(), array.shape));
        }
        if target >= columns.len() {
            return Err(format!("column {target} is to be forecast but there are {}", columns.len()));
        }
        let values: Vec<f64> = bytes.as_chunks().0.iter().map(|&word| f64::from(f32::from_le_bytes(word))).collect();
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (row, column) = (at / columns.len(), at % columns.len());
            return Err(format!("array values, row {row}, column {}: {}", columns[column], values[at]));
        }
        let (values, scaling) = standardise(&values, columns.len(), train);
        Ok(Values::Series(Series { columns: columns.to_vec(), values, scaling, target, interval: interval.into() }))
    }
}

/// `[.., pixels, channels]` to `[.., channels, pixels]`.
pub(super) fn channels_first(bytes: &[u8], channels: usize, plane: usize) -> Vec<u8> {
    if channels == 1 {
        return bytes.to_vec();
    }
    let mut planes = Vec::with_capacity(bytes.len());
    for image in bytes.chunks_exact(plane * channels) {
        for channel in 0..channels {
            planes.extend(image.iter().skip(channel).step_by(channels));
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Split, pack_file, read_pack_file};
    use crate::spec::DataSet;
    use proptest::prelude::*;
    use std::io::Write;

    fn built_in(set: DataSet) -> Data {
        read(&read_pack_file(&pack_file(set).unwrap()).unwrap()).unwrap()
    }

    fn images(data: &Data) -> &Images {
        let Values::Images(images) = &data.values else { panic!("not images") };
        images
    }

    /// Examples of each class in a part.
    fn counts(data: &Data, split: Split) -> Vec<usize> {
        let mut counts = vec![0; data.classes().len()];
        for row in data.range(split) {
            counts[data.labels().unwrap()[row] as usize] += 1;
        }
        counts
    }

    #[test]
    fn every_pack_says_where_it_comes_from_and_is_small() {
        for &set in DataSet::ALL {
            let Some(file) = pack_file(set) else { continue };
            let bytes = read_pack_file(&file).unwrap();
            assert!(bytes.len() < 5_500_000, "{file} has {} bytes", bytes.len());
            let (header, _) = open(&bytes).unwrap();
            assert_eq!(header.name, set.id());
            for text in [&header.title, &header.licence, &header.attribution, &header.source, &header.split] {
                assert!(!text.is_empty(), "{file}");
            }
        }
    }

    #[test]
    fn payloads_are_those_that_the_headers_name() {
        use sha2::{Digest, Sha256};
        for &set in DataSet::ALL {
            let Some(file) = pack_file(set) else { continue };
            let bytes = read_pack_file(&file).unwrap();
            let (header, payload) = open(&bytes).unwrap();
            let raw = Arrays::inflate(&header.arrays, payload).unwrap().payload;
            let digest: String = Sha256::digest(&raw).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digest, header.sha256, "{file}");
        }
    }

    #[test]
    fn mnist_and_fashion_are_balanced() {
        for (set, first_labels) in [(DataSet::Mnist, [5, 0, 4]), (DataSet::Fashion, [9, 0, 3])] {
            let data = built_in(set);
            assert_eq!((data.train.clone(), data.test.clone()), (0..10_000, 10_000..12_000));
            assert_eq!(data.row_shape(), [1, 28, 28]);
            assert_eq!(images(&data).pixels.len(), 12_000 * 784);
            assert_eq!(counts(&data, Split::Train), [1000; 10]);
            assert_eq!(counts(&data, Split::Test), [200; 10]);
            // The first images of the official files, one a class: every sixth of a class is taken, from the first on.
            assert_eq!(data.labels().unwrap()[..3], first_labels);
        }
    }

    #[test]
    fn mnist_pixels_are_the_published_ones() {
        let data = built_in(DataSet::Mnist);
        // Row 5 of the first training image, a five, as in the official file.
        let row = &images(&data).pixels[5 * 28..6 * 28];
        assert_eq!(row[12..24], [3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127]);
    }

    #[test]
    fn digits_keep_the_proportions_of_their_classes() {
        let data = built_in(DataSet::Digits);
        assert_eq!((data.train.len(), data.test.len()), (1437, 360));
        assert_eq!(data.row_shape(), [1, 8, 8]);
        for (train, test) in counts(&data, Split::Train).into_iter().zip(counts(&data, Split::Test)) {
            assert!((35..=37).contains(&test) && (139..=147).contains(&train), "{train} + {test}");
        }
    }

    #[test]
    fn emoji_have_all_classes_in_both_parts() {
        let data = built_in(DataSet::Emoji);
        assert_eq!((data.train.len(), data.test.len()), (6929, 1109));
        assert_eq!(data.row_shape(), [3, 32, 32]);
        assert!(counts(&data, Split::Train).into_iter().all(|count| (5..=7).contains(&count)));
        assert_eq!(counts(&data, Split::Test), [1; 1109]);
        let names: Vec<&str> = images(&data).attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        assert_eq!(names, ["style", "group"]);

        let hundred = built_in(DataSet::Emoji100);
        assert_eq!(counts(&hundred, Split::Train), [6; 100]);
        assert_eq!(counts(&hundred, Split::Test), [2; 100]);
        // Drawn on white: the corner of most pictures is white in all three channels.
        let corners = images(&hundred)
            .pixels
            .chunks(3 * 1024)
            .filter(|image| [0, 1024, 2048].iter().all(|&channel| image[channel] == 255));
        assert!(corners.count() > 700);
    }

    #[test]
    fn shakespeare_is_a_million_characters() {
        let data = built_in(DataSet::Shakespeare);
        assert_eq!((data.train.len(), data.test.len()), (900_000, 100_000));
        let Values::Text(text) = &data.values else { panic!("not text") };
        assert_eq!(text.vocabulary.len(), 68);
        let start: String = text.tokens[..40].iter().map(|&token| text.vocabulary[token as usize]).collect();
        assert_eq!(start, " great gods be just, they shall assist\nT");
    }

    #[test]
    fn weather_is_standardised_over_its_training_hours() {
        let data = built_in(DataSet::Weather);
        assert_eq!((data.train.len(), data.test.len()), (6984, 1746));
        let Values::Series(series) = &data.values else { panic!("not a series") };
        assert_eq!(series.columns[series.target], "JFK temperature (F)");
        let mean = |column: usize| {
            let values = series.values.iter().skip(column).step_by(25).take(6984);
            values.map(|&value| f64::from(value)).sum::<f64>() / 6984.0
        };
        assert!((0..25).all(|column| mean(column).abs() < 1e-4));
        // The first reading of the source at JFK: 39.02 degrees.
        assert!((series.scaling[7].raw(series.values[7]) - 39.02).abs() < 1e-3);
    }

    /// A pack around any header and payload.
    fn pack(header: &str, payload: &[u8]) -> Vec<u8> {
        let mut bytes =
            [MAGIC, &VERSION.to_le_bytes(), &(header.len() as u32).to_le_bytes(), header.as_bytes()].concat();
        let mut encoder = flate2::write::ZlibEncoder::new(&mut bytes, flate2::Compression::default());
        encoder.write_all(payload).unwrap();
        encoder.finish().unwrap();
        bytes
    }

    fn header(arrays: &str, rest: &str) -> String {
        format!(
            r#"{{"name":"t","title":"T","licence":"l","attribution":"a","source":"s","split":"p","sha256":"",
            "train":[0,2],"test":[2,3],"arrays":{arrays},{rest}}}"#
        )
    }

    fn text_pack(shape: &str, vocabulary: &str, payload: &[u8]) -> Vec<u8> {
        let arrays = format!(r#"[{{"name":"tokens","dtype":"u8","shape":{shape}}}]"#);
        pack(&header(&arrays, &format!(r#""kind":"text","vocabulary":"{vocabulary}""#)), payload)
    }

    #[test]
    fn a_good_pack_is_read() {
        let data = read(&text_pack("[3]", "ab", &[0, 1, 1])).unwrap();
        assert_eq!(data.values, Values::Text(Text { tokens: vec![0, 1, 1], vocabulary: vec!['a', 'b'] }));
    }

    #[test]
    fn bad_packs_are_named() {
        let good = text_pack("[3]", "ab", &[0, 1, 1]);
        let mut damaged = good.clone();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        let mut newer = good.clone();
        newer[4] = 2;
        let image = |shape: &str, labels: &[u8]| {
            let arrays =
                format!(r#"[{{"name":"x","dtype":"u8","shape":{shape}}},{{"name":"y","dtype":"u8","shape":[3]}}]"#);
            let pixels = vec![0; 3 * 4];
            pack(&header(&arrays, r#""kind":"images","classes":["a","b"]"#), &[&pixels, labels].concat())
        };
        let series = |values: &[f32]| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let arrays = r#"[{"name":"values","dtype":"f32","shape":[3,1]}]"#;
            pack(&header(arrays, r#""kind":"series","columns":["c"],"target":0,"interval":"h""#), &bytes)
        };
        for (bytes, message) in [
            (b"PK\x03\x04".to_vec(), "data pack: not a data pack: it does not start with MBPK"),
            (good[..6].to_vec(), "data pack: ends within its version"),
            (newer, "data pack: version 2; this program reads version 1"),
            (good[..20].to_vec(), "data pack: the header should have "),
            (pack("{}", &[]), "data pack: header: missing field"),
            (damaged, "data pack t: damaged payload: "),
            (
                text_pack("[4]", "ab", &[0, 1, 1]),
                "data pack t: the payload inflates to less than the 4 bytes of its arrays",
            ),
            (
                text_pack("[3]", "ab", &[0; 99]),
                "data pack t: the payload inflates to more than the 3 bytes of its arrays",
            ),
            (text_pack("[99999999999]", "ab", &[]), "data pack t: array tokens: shape [99999999999] is larger than"),
            (
                text_pack("[4294967296,4294967296]", "ab", &[]),
                "data pack t: array tokens: shape [4294967296, 4294967296]",
            ),
            (
                text_pack("[0,4294967296,4294967296]", "ab", &[]),
                "data pack t: array tokens is empty: its shape is [0, ",
            ),
            (text_pack("[3]", "ba", &[0, 1, 1]), "data pack t: the vocabulary should be"),
            (text_pack("[3]", "ab", &[0, 1, 2]), "data pack t: array tokens, row 2: 2 is not below 2"),
            (text_pack("[2]", "ab", &[0, 1]), "data pack t: train [0, 2] and test [2, 3] do not divide 2 rows"),
            (image("[3,2,2,1]", &[0, 1, 7]), "data pack t: array y, row 2: 7 is not below 2"),
            (image("[12]", &[0, 1, 1]), "data pack t: array x has shape [12], not [rows, height, width, channels]"),
            (image("[3,2,1,2]", &[0, 1, 1]), "data pack t: array x should hold bytes of gray or RGB images"),
            (image("[6,1,2,1]", &[0, 1, 1]), "data pack t: array y has shape [3], not [6]"),
            (series(&[1.0, f32::NAN, 2.0]), "data pack t: array values, row 1, column c: NaN"),
        ] {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error:?} should start with {message:?}");
        }
        assert!(read(&series(&[1.0, 3.0, 2.0])).is_ok());
        assert!(read(&image("[3,2,2,1]", &[0, 1, 1])).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
            let _ = read(&[MAGIC, &VERSION.to_le_bytes(), &bytes].concat());
        }

        #[test]
        fn a_changed_byte_never_panics(at in 0_usize..10_000, bit in 0_u8..8) {
            let mut bytes = text_pack("[3]", "ab", &[0, 1, 1]);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let _ = read(&bytes);
        }
    }

    #[test]
    fn channels_come_first() {
        assert_eq!(
            channels_first(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 3, 2),
            [1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12]
        );
    }
}
