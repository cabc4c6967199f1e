//! What the segments of a JPEG file say that its decoder does not: which way up the picture is, and whether it is whole.
//!
//! Format: ITU-T T.81, annex B; the orientation is tag 0x0112 of Exif 2.3.

/// Start of a segment that holds Exif, behind its length.
const EXIF: &[u8] = b"Exif\0\0";
const ORIENTATION: u16 = 0x0112;

/// What was found on the way through a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segments {
    /// How stored rows and columns are shown, 1 to 8 as in Exif; 1 = as they are.
    pub orientation: u8,
    /// Whether the picture's end is there.
    pub whole: bool,
}

/// Walks through a file from segment to segment.
pub(super) fn segments(bytes: &[u8]) -> Segments {
    let mut found = Segments { orientation: 1, whole: false };
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let Some(at) = rest.iter().position(|&byte| byte == 0xff) {
        let marker = rest[at..].iter().position(|&byte| byte != 0xff).map(|fill| at + fill);
        let Some((marker, place)) = marker.map(|place| (rest[place], place)) else { return found };
        rest = &rest[place + 1..];
        match marker {
            // The end.
            0xd9 => return Segments { whole: true, ..found },
            // Within coded data: a stuffed byte, or a mark to restart at. Neither has a length, nor have these.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                let Some((&[a, b], _)) = rest.split_first_chunk() else { return found };
                let length = usize::from(u16::from_be_bytes([a, b])).max(2);
                let Some((segment, after)) = rest.split_at_checked(length) else { return found };
                if marker == 0xe1
                    && let Some(exif) = segment[2..].strip_prefix(EXIF)
                {
                    found.orientation = orientation(exif).unwrap_or(1);
                }
                // After a start of scan comes coded data, in which only markers have 0xff before something else than 0.
                rest = after;
            }
        }
    }
    found
}

/// The orientation that an Exif block (a TIFF file in small) gives.
pub(super) fn orientation(exif: &[u8]) -> Option<u8> {
    let little = match exif.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let pair: [u8; 2] = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    let word: [u8; 4] = exif.get(4..8)?.try_into().ok()?;
    let directory = if little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) } as usize;
    let entries = usize::from(u16_at(directory)?);
    let entry = (0..entries)
        .map(|entry| directory.saturating_add(2 + 12 * entry))
        .find(|&at| u16_at(at) == Some(ORIENTATION))?;
    u8::try_from(u16_at(entry.saturating_add(8))?).ok().filter(|orientation| (1..=8).contains(orientation))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = include_bytes!("red8.jpg");

    #[test]
    fn a_cut_file_has_no_end() {
        assert_eq!(segments(WHOLE), Segments { orientation: 1, whole: true });
        for length in 0..WHOLE.len() - 1 {
            assert!(!segments(&WHOLE[..length]).whole, "{length}");
        }
        // What follows the end does not matter.
        assert!(segments(&[WHOLE, b"trailer"].concat()).whole);
        // The end of a thumbnail within a segment is not the picture's.
        let thumbnail = [&WHOLE[..2], &[0xff, 0xe1, 0, 6, 0xff, 0xda, 0xff, 0xd9], &WHOLE[2..WHOLE.len() - 2]].concat();
        assert!(!segments(&thumbnail).whole);
    }

    #[test]
    fn both_byte_orders_give_the_orientation() {
        let little = b"II*\0\x08\0\0\0\x02\0\x00\x01\x03\0\x01\0\0\0\x05\0\0\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
        assert_eq!(orientation(little), Some(6));
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0";
        assert_eq!(orientation(big), Some(3));
        for length in 0..big.len() - 2 {
            assert_eq!(orientation(&big[..length]), None);
        }
        assert_eq!(orientation(b"MM\0*\xff\xff\xff\xff\0\x01"), None);
        let file = [&WHOLE[..2], &[0xff, 0xe1, 0, 8 + big.len() as u8], EXIF, big, &WHOLE[2..]].concat();
        assert_eq!(segments(&file), Segments { orientation: 3, whole: true });
    }
}
