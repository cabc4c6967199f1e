//! Numbers as text, and back.
//!
//! The page has the browser write its numbers and read them: the standard library's ways would be a fiftieth of the page. Workers and the
//! command line have the standard library write the same.

pub use system::{exponent, fixed, plain};

#[cfg(all(feature = "page", target_arch = "wasm32"))]
mod system {
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen]
    extern "C" {
        /// The fewest digits that read back as the same number; with an exponent from 1e21 and below 1e-6.
        #[wasm_bindgen(js_name = String)]
        fn string(value: f64) -> String;

        #[wasm_bindgen(js_namespace = ["Number", "prototype", "toFixed"])]
        fn call(value: f64, digits: usize) -> String;

        #[wasm_bindgen(js_namespace = ["Number", "prototype", "toExponential"], js_name = call)]
        fn exponential(value: f64, digits: Option<usize>) -> String;

        /// NaN for what is no number; of nothing it makes 0.
        #[wasm_bindgen(js_name = Number)]
        fn value(text: &str) -> f64;
    }

    /// A number of a decimal's characters, if they make one.
    pub(super) fn read(text: &str) -> Option<f64> {
        (!text.is_empty()).then(|| value(text))
    }

    /// The fewest digits that read back as the same number; with an exponent from 1e21 and below 1e-6.
    #[must_use]
    pub fn plain(value: f64) -> String {
        string(value).replace("e+", "e")
    }

    /// So many digits behind the point.
    #[must_use]
    pub fn fixed(value: f64, digits: usize) -> String {
        call(value, digits)
    }

    /// With an exponent, and before it so many digits behind the point; without their number as many as [`plain`] has.
    #[must_use]
    pub fn exponent(value: f64, digits: Option<usize>) -> String {
        exponential(value, digits).replace("e+", "e")
    }
}

#[cfg(not(all(feature = "page", target_arch = "wasm32")))]
mod system {
    /// A number of a decimal's characters, if they make one.
    pub(super) fn read(text: &str) -> Option<f64> {
        text.parse().ok()
    }

    /// The fewest digits that read back as the same number; with an exponent from 1e21 and below 1e-6.
    #[must_use]
    pub fn plain(value: f64) -> String {
        let size = value.abs();
        if size == 0.0 || (1e-6..1e21).contains(&size) { value.to_string() } else { format!("{value:e}") }
    }

    /// So many digits behind the point.
    #[must_use]
    pub fn fixed(value: f64, digits: usize) -> String {
        format!("{value:.digits$}")
    }

    /// With an exponent, and before it so many digits behind the point; without their number as many as [`plain`] has.
    #[must_use]
    pub fn exponent(value: f64, digits: Option<usize>) -> String {
        match digits {
            Some(digits) => format!("{value:.digits$e}"),
            None => format!("{value:e}"),
        }
    }
}

/// Reads a finite decimal number, such as `.5`, `2.` or `1e-8`, exactly; none if the text is anything else. The standard library's
/// reader would bring tables of ten kilobytes into the page, which has the browser's.
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    // Neither words, such as “inf”, nor other bases.
    let decimal = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    let value = if text.bytes().all(decimal) { system::read(text) } else { None };
    value.filter(|value| value.is_finite())
}

/// A number times a power of ten.
fn scaled(mut value: f64, mut power: i32) -> f64 {
    while power != 0 && value != 0.0 && value.is_finite() {
        // Powers of ten are exact up to this one.
        let step = power.clamp(-22, 22);
        let ten = (0..step.abs()).fold(1.0, |ten, _| ten * 10.0);
        value = if step < 0 { value / ten } else { value * ten };
        power -= step;
    }
    value
}

/// The nearest number of so many significant decimal digits.
#[must_use]
pub fn rounded(value: f64, digits: usize) -> f64 {
    number(&exponent(value, Some(digits.saturating_sub(1)))).unwrap_or(value)
}

/// The number with the fewest digits that is the same in 32 bits: 0.1, not 0.10000000149.
#[must_use]
pub fn short(value: f32) -> f64 {
    let wide = f64::from(value);
    // By digits behind the point; before it some are zeros.
    let near = |digits: i32| scaled(scaled(wide, digits).round(), -digits);
    (-38..=52).map(near).find(|near| *near as f32 == value).unwrap_or(wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_links_spell_is_read() {
        for (text, value) in [
            (".5", 0.5),
            ("2.", 2.0),
            (" +1E-8 ", 1e-8),
            ("-0012.50", -12.5),
            ("1e22", 1e22),
            ("0e99", 0.0),
            ("1e-999", 0.0),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in
            ["", ".", "-", "e5", "1e", "1e5.0", "1.2.3", "0x1", "1 2", "inf", "NaN", "1e999", "--1", "+-1", "１"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_rounded_to_significant_digits() {
        assert_eq!(rounded(0.012_345_6, 3), 0.0123);
        assert_eq!(rounded(-98_765.0, 1), -100_000.0);
        assert!(rounded(f64::INFINITY, 3).is_infinite());
    }

    #[test]
    fn numbers_are_written_as_browsers_write_them() {
        assert_eq!(
            [1e-6, 1e-7, 1e20, 1.5e21, 0.0].map(plain),
            ["0.000001", "1e-7", "100000000000000000000", "1.5e21", "0"]
        );
        assert_eq!([fixed(0.125, 1), exponent(1500.0, None), exponent(1500.0, Some(2))], ["0.1", "1.5e3", "1.50e3"]);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_exactly(bits: u64) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                proptest::prop_assert_eq!(number(&plain(value)).map(f64::to_bits), Some(bits));
            }
        }

        #[test]
        fn numbers_of_32_bits_stay_themselves(bits: u32) {
            let value = f32::from_bits(bits);
            if value.is_finite() {
                proptest::prop_assert_eq!(short(value) as f32, value);
            }
            if (1e-14..1e22).contains(&value.abs()) {
                proptest::prop_assert_eq!(Some(short(value)), format!("{value:e}").parse().ok());
            }
        }
    }
}
