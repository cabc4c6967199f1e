//! Numbers as a person reads them, and as style sheets do.

use engine::decimal::{self, fixed};

/// Three significant digits, or fewer; a dash for what is not a number.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return if value.is_nan() {
            "–".into()
        } else if value > 0.0 {
            "∞".into()
        } else {
            "−∞".into()
        };
    }
    let text = if size < 1e5 && value.fract() == 0.0 {
        fixed(value, 0)
    } else if !(1e-3..1e5).contains(&size) {
        return exponent(value);
    } else if size >= 100.0 {
        fixed(value, 0)
    } else if size >= 10.0 {
        fixed(value, 1)
    } else if size >= 1.0 {
        fixed(value, 2)
    } else if size >= 0.1 {
        fixed(value, 3)
    } else {
        trimmed(fixed(value, 5))
    };
    text.replace('-', "−")
}

/// The same without zeros at the end, for axes.
pub fn tick(value: f64) -> String {
    trimmed(number(value))
}

fn exponent(value: f64) -> String {
    let text = decimal::exponent(value, Some(2));
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{}e{power}", trimmed(mantissa.to_owned())).replace('-', "−")
}

/// Without trailing zeros behind the point.
fn trimmed(text: String) -> String {
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A whole number with groups of three.
pub fn whole(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A large count with a letter: 72.5 k, 1.31 M, 4.2 G.
pub fn short(value: f64) -> String {
    let (scaled, letter) = match value {
        v if v >= 1e12 => (v / 1e12, " T"),
        v if v >= 1e9 => (v / 1e9, " G"),
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e4 => (v / 1e3, " k"),
        v => (v, " "),
    };
    format!("{}{letter}", number(scaled))
}

/// A share as percent.
pub fn percent(share: f64) -> String {
    if share.is_finite() { fixed(share * 100.0, 1) + "%" } else { "–".into() }
}

/// A length for the style sheet.
pub fn px(length: f64) -> String {
    fixed(length, 1) + "px"
}

/// A share for the style sheet.
pub fn part_of(share: f64) -> String {
    fixed(100.0 * share, 1) + "%"
}

/// A duration in the unit that fits.
pub fn seconds(value: f64) -> String {
    if !value.is_finite() {
        "–".into()
    } else if value < 1.0 {
        fixed(value * 1e3, 0) + " ms"
    } else if value < 90.0 {
        fixed(value, 0) + " s"
    } else if value < 5400.0 {
        fixed(value / 60.0, 0) + " min"
    } else {
        fixed(value / 3600.0, 1) + " h"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(2.30417), "2.30");
        assert_eq!(number(0.002), "0.002");
        assert_eq!(number(-1e-8), "−1e−8");
        assert_eq!(number(f64::NAN), "–");
        assert_eq!(number(1.5e7), "1.5e7");
        assert_eq!(number(185.0), "185");
        assert_eq!(tick(0.9), "0.9");
        assert_eq!(tick(150.0), "150");
    }

    #[test]
    fn whole_numbers_are_grouped() {
        assert_eq!(whole(72_523), "72,523");
        assert_eq!(whole(999), "999");
        assert_eq!(whole(1_000_000), "1,000,000");
    }

    #[test]
    fn large_counts_have_letters() {
        assert_eq!(short(1_310_000.0).trim(), "1.31 M");
        assert_eq!(short(640.0).trim(), "640");
    }
}
