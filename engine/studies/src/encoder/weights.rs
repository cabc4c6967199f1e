//! A shipped encoder: its parameters as bytes, with one scale each thousand, so that a first prediction needs no training.
//!
//! ```text
//! magic "MBEN" | u32 version | u32 parameters | scales f32 [ceil(P / 1024)] | i8 [P]
//! ```
//! A parameter is its byte times its scale, which is the largest magnitude of its thousand over 127.

const MAGIC: &[u8; 4] = b"MBEN";
const VERSION: u32 = 1;
/// Parameters that share a scale.
const GROUP: usize = 1024;

/// The file of these parameters.
#[must_use]
pub fn write_weights(theta: &[f32]) -> Vec<u8> {
    let mut bytes = [MAGIC.as_slice(), &VERSION.to_le_bytes(), &(theta.len() as u32).to_le_bytes()].concat();
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
    if word(0) != Some(*MAGIC) || word(4).map(u32::from_le_bytes) != Some(VERSION) {
        return Err("This is no encoder of this version".into());
    }
    let count = word(8).map_or(0, u32::from_le_bytes) as usize;
    let first = 12 + count.div_ceil(GROUP) * 4;
    if bytes.len() != first + count {
        return Err(format!("An encoder of {count} parameters has {} bytes, not {}", first + count, bytes.len()));
    }
    let scale = |at: usize| word(12 + at / GROUP * 4).map_or(0.0, f32::from_le_bytes);
    Ok(bytes[first..].iter().enumerate().map(|(at, &byte)| f32::from(byte as i8) * scale(at)).collect())
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
    for wrong in [&bytes[..11], &bytes[..100], b"MBPK00000000"] {
        assert!(read_weights(wrong).is_err());
    }
}
