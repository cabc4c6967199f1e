//! Folders (or zip archives) of pictures: the folder of a picture names its class.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{MAX_ELEMENTS, check_classes, check_elements, hidden, jpeg, names, split, zipped};
use crate::data::prepare::area_average;
use crate::data::{Data, DataError, Images, Values};

/// Sides of the pictures that are trained on.
const SIDES: std::ops::RangeInclusive<usize> = 8..=64;
/// Side where the largest would make too many pixels.
const COMPACT_SIDE: usize = 32;
/// Most pixels along a side, and in all, of a picture that is read.
const MAX_SIDE: usize = 16_384;
const MAX_PIXELS: usize = 40_000_000;
/// Of so many pictures at most one may be unreadable, and is left out; more, and the folder is not read.
const SOUND: usize = 10;
/// Pictures that were left out are named up to this many.
const NAMED: usize = 3;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";

/// Whether bytes start as a picture that can be read.
pub(super) fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(PNG) || bytes.starts_with(JPEG)
}

/// The side to which pictures of a size are brought: their smaller side within 8 to 64, less where they are many.
pub(super) fn side(height: usize, width: usize, count: usize) -> usize {
    let side = height.min(width).clamp(*SIDES.start(), *SIDES.end());
    if side.saturating_mul(side * 3).saturating_mul(count) > MAX_ELEMENTS { side.min(COMPACT_SIDE) } else { side }
}

/// Decoded pictures of one size.
#[derive(Debug, Clone)]
pub(super) struct Pictures {
    images: Images,
    notes: Vec<String>,
}

/// A file that is a picture.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry<'a> {
    path: &'a str,
    class: String,
    bytes: &'a [u8],
}

/// A decoded picture, the way up that viewers show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 3]`.
    pub rgb: Vec<u8>,
}

impl Pictures {
    /// Decodes every PNG and JPEG of a folder.
    pub(super) fn read(name: &str, files: &[(String, Vec<u8>)]) -> Result<Self, DataError> {
        let mut skipped = 0_usize;
        let mut entries = Vec::new();
        for (path, bytes) in files {
            if hidden(path) || !looks_like_picture(path, bytes) {
                skipped += 1;
                continue;
            }
            let place = || format!("{name}, entry {path}");
            if !is_picture(bytes) {
                return Err(DataError::new(place(), "is not a PNG or JPEG picture; convert it to one of these"));
            }
            let class = folder(path).ok_or_else(|| {
                DataError::new(place(), "is not in a folder; the folder of a picture names its class")
            })?;
            entries.push(Entry { path, class, bytes });
        }
        if entries.is_empty() {
            let reason = format!("has no PNG or JPEG picture among {} files", files.len());
            return Err(DataError::new(name, reason));
        }
        // In order of path, so that the order in which a browser lists files does not matter.
        crate::numeric::sort(&mut entries);
        let place = format!("{name}, names of folders");
        // Too few or too many are known before anything is decoded.
        check_classes(&place, &label(&entries).1)?;
        let mut pictures = decode_all(name, &mut entries)?;
        if skipped > 0 {
            pictures.notes.push(format!("{skipped} files that are not pictures are left out."));
        }
        let (labels, classes) = label(&entries);
        check_classes(&place, &classes)?;
        pictures.images = Images { labels, classes, ..pictures.images };
        Ok(pictures)
    }

    pub(super) fn load(&self, name: &str, seed: u64) -> Result<Data, DataError> {
        split(name, Values::Images(self.images.clone()), self.images.labels.len(), self.notes.clone(), seed)
    }
}

/// Hands `take` every picture of a folder or zip archive in order of path, each as large as it is, with the name of its folder
/// where it has one. What was left out, and why.
///
/// # Errors
/// The archive cannot be read; there is no picture, or none that can be read.
pub fn each_picture(
    name: &str,
    mut files: Vec<(String, Vec<u8>)>,
    mut take: impl FnMut(Option<&str>, Picture),
) -> Result<Vec<String>, DataError> {
    if let [(_, bytes)] = files.as_slice()
        && bytes.starts_with(b"PK")
    {
        files = zipped::inflate(name, bytes)?;
    }
    files.retain(|(path, bytes)| !hidden(path) && looks_like_picture(path, bytes));
    crate::numeric::sort(&mut files);
    let mut faults = Vec::new();
    for (path, bytes) in &files {
        let picture = if is_picture(bytes) { decode(bytes) } else { Err("it is not a PNG or JPEG picture".to_owned()) };
        match picture {
            Ok(picture) => take(folder(path).as_deref(), picture),
            Err(reason) => faults.push((path.clone(), reason)),
        }
    }
    if faults.len() == files.len() {
        let said = named(&faults).map_or_else(
            || "has no PNG or JPEG picture".into(),
            |said| format!("has no picture that can be read: {said}"),
        );
        return Err(DataError::new(name, said));
    }
    Ok(named(&faults).map(|said| format!("Left out, as they cannot be read: {said}.")).into_iter().collect())
}

/// The name of the folder that a picture lies in.
fn folder(path: &str) -> Option<String> {
    let (folder, _) = path.rsplit_once('/')?;
    let name = folder.rsplit('/').next().unwrap_or(folder);
    (!name.is_empty()).then(|| names::composed(name))
}

/// The first few of what could not be read, with reasons; `None` if there is nothing.
fn named(faults: &[(String, String)]) -> Option<String> {
    let listed: Vec<String> =
        faults.iter().take(NAMED).map(|(path, reason)| format!("{path} ({})", reason.trim_end_matches('.'))).collect();
    let more = if faults.len() > NAMED { format!(" and {} more", faults.len() - NAMED) } else { String::new() };
    (!faults.is_empty()).then(|| format!("{}{more}", listed.join(", ")))
}

/// Class of each picture, and the classes in order: of their numbers where all folders are called by one.
fn label(entries: &[Entry]) -> (Vec<u32>, Vec<String>) {
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.class.as_str()).collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    let numbers: Result<Vec<i64>, _> = names.iter().map(|name| name.parse::<i64>()).collect();
    if numbers.is_ok() {
        crate::numeric::sort_by_key(&mut names, &|name| name.parse::<i64>().unwrap_or_default());
    }
    let code: BTreeMap<&str, u32> = names.iter().copied().zip(0..).collect();
    let labels = entries.iter().map(|entry| code[entry.class.as_str()]).collect();
    (labels, names.into_iter().map(str::to_owned).collect())
}

/// All pictures at one side, without labels; gray if all are. Entries that cannot be read are taken out and noted.
fn decode_all(name: &str, entries: &mut Vec<Entry>) -> Result<Pictures, DataError> {
    let count = entries.len();
    let mut faults = Vec::new();
    let mut sizes = Vec::with_capacity(count);
    entries.retain(|entry| match size(entry.bytes) {
        Ok(size) => {
            sizes.push(size);
            true
        }
        Err(reason) => {
            faults.push((entry.path.to_owned(), reason));
            false
        }
    });
    // The side that keeps all there is of the largest picture.
    let side = sizes.iter().map(|&[height, width]| side(height, width, entries.len())).max().unwrap_or(COMPACT_SIDE);
    let plane = side * side;
    check_elements(name, entries.len(), plane)?;
    let mut pixels: Vec<u8> = Vec::with_capacity(entries.len() * plane);
    let mut channels = 1;
    let (mut rescaled, mut too_many) = (0_usize, None);
    entries.retain(|entry| {
        if too_many.is_some() || faults.len() * SOUND > count {
            return false;
        }
        let picture = match decode(entry.bytes) {
            Ok(picture) => picture,
            Err(reason) => {
                faults.push((entry.path.to_owned(), reason));
                return false;
            }
        };
        if channels == 1 && !picture.is_gray() {
            channels = 3;
            too_many = check_elements(name, count, channels * plane).err();
            // The pictures before it were gray: each gets its plane three times.
            pixels = pixels.chunks_exact(plane).flat_map(|gray| [gray; 3]).flatten().copied().collect();
        }
        for channel in 0..channels {
            pixels.extend(picture.square(channel, side));
        }
        rescaled += usize::from([picture.height, picture.width] != [side, side]);
        true
    });
    if let Some(error) = too_many {
        return Err(error);
    }
    let mut notes = Vec::new();
    if rescaled > 0 {
        notes.push(format!("{rescaled} pictures are cut to a square and scaled to {side}x{side}."));
    }
    notes.extend(say_faults(name, faults, count)?);
    let shape = [channels, side, side];
    let images = Images { shape, pixels, labels: Vec::new(), classes: Vec::new(), attributes: Vec::new() };
    Ok(Pictures { images, notes })
}

/// Names the pictures of `count` that could not be read; an error if there are too many of them.
fn say_faults(name: &str, faults: Vec<(String, String)>, count: usize) -> Result<Option<String>, DataError> {
    let Some((path, reason)) = faults.first() else { return Ok(None) };
    if faults.len() * SOUND > count {
        return Err(DataError::new(format!("{name}, entry {path}"), reason));
    }
    Ok(named(&faults).map(|said| format!("Left out, as they cannot be read: {said}.")))
}

impl Picture {
    fn is_gray(&self) -> bool {
        self.rgb.as_chunks().0.iter().all(|[r, g, b]| r == g && g == b)
    }

    /// One channel of the central square, scaled.
    fn square(&self, channel: usize, side: usize) -> Vec<u8> {
        let cut = self.width.min(self.height);
        let (left, top) = ((self.width - cut) / 2, (self.height - cut) / 2);
        let plane: Vec<u8> = (top..top + cut)
            .flat_map(|y| (left..left + cut).map(move |x| (y * self.width + x) * 3 + channel))
            .map(|at| self.rgb[at])
            .collect();
        area_average(&plane, [cut, cut], [side, side])
    }

    /// The picture as viewers show it, by its Exif orientation: columns from the right, rows from the bottom, and both
    /// exchanged.
    fn turned(self, orientation: u8) -> Self {
        let (mirror, flip, swap) = match orientation {
            2 => (true, false, false),
            3 => (true, true, false),
            4 => (false, true, false),
            5 => (false, false, true),
            6 => (false, true, true),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => return self,
        };
        let Self { width: old_width, height: old_height, rgb } = self;
        let (width, height) = if swap { (old_height, old_width) } else { (old_width, old_height) };
        let place = |shown_x: usize, shown_y: usize| {
            let (x, y) = if swap { (shown_y, shown_x) } else { (shown_x, shown_y) };
            let x = if mirror { old_width - 1 - x } else { x };
            let y = if flip { old_height - 1 - y } else { y };
            y * old_width + x
        };
        let turned = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| {
                let at = 3 * place(x, y);
                [rgb[at], rgb[at + 1], rgb[at + 2]]
            })
            .collect();
        Self { width, height, rgb: turned }
    }
}

/// Whether a file is a picture, or says it is one by its ending.
pub(super) fn looks_like_picture(path: &str, bytes: &[u8]) -> bool {
    is_picture(bytes) || names_picture(path)
}

fn names_picture(path: &str) -> bool {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| {
        matches!(ending.as_str(), "png" | "jpg" | "jpeg" | "gif" | "bmp" | "webp" | "tif" | "tiff")
    })
}

/// Height and width, of a JPEG that is whole.
fn size(bytes: &[u8]) -> Result<[usize; 2], String> {
    let [height, width] = if bytes.starts_with(PNG) {
        let mut decoder = png::Decoder::new(Cursor::new(bytes));
        let info = decoder.read_header_info().map_err(|error| format!("damaged PNG: {error}"))?;
        [info.height as usize, info.width as usize]
    } else {
        // The decoder fills in gray what is missing.
        if !jpeg::segments(bytes).whole {
            return Err("damaged JPEG: the file is cut short".into());
        }
        let mut decoder = decoder(bytes);
        decoder.decode_headers().map_err(|error| format!("damaged JPEG: {error}"))?;
        let (width, height) = decoder.dimensions().ok_or("damaged JPEG: no dimensions")?;
        [height, width]
    };
    if height == 0 || width == 0 || height > MAX_SIDE || width > MAX_SIDE || height * width > MAX_PIXELS {
        return Err(format!("has {width}x{height} pixels; 1 to {} million can be read", MAX_PIXELS / 1_000_000));
    }
    Ok([height, width])
}

fn decoder(bytes: &[u8]) -> JpegDecoder<ZCursor<&[u8]>> {
    let options = DecoderOptions::new_safe()
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

/// A PNG or JPEG whose size was found good, the way up that its Exif says, on white where it is transparent.
fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let [height, width] = size(bytes)?;
    let (rgb, orientation) = if bytes.starts_with(PNG) {
        decode_png(bytes).map_err(|error| format!("damaged PNG: {error}"))?
    } else {
        let rgb = decoder(bytes).decode().map_err(|error| format!("damaged JPEG: {error}"))?;
        (rgb, jpeg::segments(bytes).orientation)
    };
    if rgb.len() != height * width * 3 {
        return Err(format!("decodes to {} bytes, not {width}x{height} pixels", rgb.len()));
    }
    Ok(Picture { width, height, rgb }.turned(orientation))
}

/// Pixels of a PNG, and its orientation.
fn decode_png(bytes: &[u8]) -> Result<(Vec<u8>, u8), png::DecodingError> {
    let limits = png::Limits { bytes: MAX_PIXELS * 8 };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let mut buffer = vec![0; reader.output_buffer_size().unwrap_or(0)];
    let frame = reader.next_frame(&mut buffer)?;
    buffer.truncate(frame.buffer_size());
    let orientation = reader.info().exif_metadata.as_deref().and_then(jpeg::orientation).unwrap_or(1);
    let on_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let rgb = match frame.color_type {
        png::ColorType::Grayscale => buffer.iter().flat_map(|&gray| [gray; 3]).collect(),
        png::ColorType::GrayscaleAlpha => {
            buffer.as_chunks().0.iter().flat_map(|&[gray, alpha]| [on_white(gray, alpha); 3]).collect()
        }
        png::ColorType::Rgba => buffer
            .as_chunks()
            .0
            .iter()
            .flat_map(|&[r, g, b, alpha]| [r, g, b].map(|value| on_white(value, alpha)))
            .collect(),
        // The transformations above expand palettes to one of the others.
        png::ColorType::Rgb | png::ColorType::Indexed => buffer,
    };
    Ok((rgb, orientation))
}
