//! A shipped encoder: its parameters in few bytes, so that a first prediction needs no training.
//!
//! ```text
//! magic "MBEN" | u32 1 | u32 parameters | scales f32 [ceil(P / 1024)] | i8 [P]
//! magic "MBEN" | u32 2 | u32 parameters | f16 [P]
//! ```
//! In the first form a parameter is its byte times its scale, which is the largest magnitude of its thousand over 127. The
//! second is for networks of others, whose parameters differ more in size.

use half::f16;

const MAGIC: &[u8; 4] = b"MBEN";
const BYTES: u32 = 1;
const HALVES: u32 = 2;
/// Parameters that share a scale.
const GROUP: usize = 1024;

/// The file of these parameters.
#[must_use]
pub fn write_weights(theta: &[f32]) -> Vec<u8> {
    let mut bytes = [MAGIC.as_slice(), &BYTES.to_le_bytes(), &(theta.len() as u32).to_le_bytes()].concat();
    let mut small = Vec::with_capacity(theta.len());
    for group in theta.chunks(GROUP) {
        let scale = group.iter().fold(0.0_f32, |most, x| most.max(x.abs())) / 127.0;
        bytes.extend(scale.to_le_bytes());
        small.extend(group.iter().map(|x| if scale > 0.0 { (x / scale).round() as i8 } else { 0 }));
    }
    bytes.extend(small.into_iter().map(|x| x as u8));
    bytes
}

/// The parameters of such a file.
///
/// # Errors
/// If it is no such file, or cut short, as a sentence.
pub fn read_weights(bytes: &[u8]) -> Result<Vec<f32>, String> {
    let word = |at: usize| bytes.get(at..at + 4).map(|w| [w[0], w[1], w[2], w[3]]);
    let number = |at: usize| word(at).map_or(0, u32::from_le_bytes);
    let (version, count) = (number(4), number(8) as usize);
    let known = word(0) == Some(*MAGIC) && (version == BYTES || version == HALVES);
    let values = bytes.get(12..).filter(|_| known).ok_or("This is no encoder of this version")?;
    let scales = if version == BYTES { count.div_ceil(GROUP) * 4 } else { 0 };
    let length = if version == BYTES { scales + count } else { 2 * count };
    if values.len() != length {
        return Err(format!("An encoder of {count} parameters has {} bytes, not {}", 12 + length, bytes.len()));
    }
    if version == HALVES {
        return Ok(values.chunks_exact(2).map(|half| f16::from_le_bytes([half[0], half[1]]).to_f32()).collect());
    }
    let scale = |at: usize| word(12 + at / GROUP * 4).map_or(0.0, f32::from_le_bytes);
    Ok(values[scales..].iter().enumerate().map(|(at, &byte)| f32::from(byte as i8) * scale(at)).collect())
}

#[cfg(test)]
#[test]
fn parameters_come_back_within_half_a_step() {
    let theta: Vec<f32> = (0..3000).map(|k| ((k * 37 % 101) as f32 - 50.0) / (1 + k / 1024) as f32).collect();
    let bytes = write_weights(&theta);
    assert_eq!(bytes.len(), 12 + 12 + 3000);
    for (k, (a, b)) in theta.iter().zip(read_weights(&bytes).unwrap()).enumerate() {
        assert!((a - b).abs() <= 0.5 * 50.0 / 127.0 / (1 + k / 1024) as f32 + 1e-5, "{a} against {b}");
    }
    let halves = [MAGIC.as_slice(), &[2, 0, 0, 0, 2, 0, 0, 0, 0, 0x3c, 0, 0xc5]].concat();
    assert_eq!(read_weights(&halves).unwrap(), [1.0, -5.0]);
    for wrong in [&bytes[..11], &bytes[..100], b"MBPK00000000", &halves[..14]] {
        assert!(read_weights(wrong).is_err());
    }
}
