//! Numbers and expressions as the languages of scripts write them.

/// A language of scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Python.
    Python,
    /// Rust.
    Rust,
}

/// A number as both languages read it: without a fraction where it has none.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e9).contains(&magnitude) { format!("{value:e}") } else { value.to_string() }
}

/// Functions of expressions, in Rust; Python has them by their names.
const FUNCTIONS: [(&str, &str); 6] = [
    ("cos", "f64::cos"),
    ("sqrt", "f64::sqrt"),
    ("pow", "f64::powf"),
    ("floor", "f64::floor"),
    ("min", "f64::min"),
    ("max", "f64::max"),
];

impl Language {
    /// A number that is not whole by type.
    pub fn float(self, value: f64) -> String {
        let text = number(value);
        match self {
            Self::Rust if !text.contains(['.', 'e']) => text + ".0",
            _ => text,
        }
    }

    /// An expression of numbers, names, `+ - * / %`, comparisons and the functions above.
    pub fn expression(self, text: &str) -> String {
        if self == Self::Python {
            return text.to_owned();
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
            let mut end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            if end == 0 {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
            // The sign of an exponent.
            if first.is_ascii_digit() && rest[..end].ends_with('e') && rest[end..].starts_with('-') {
                end += 1 + rest[end + 1..].find(|c| !word(c)).unwrap_or(rest.len() - end - 1);
            }
            let (token, after) = rest.split_at(end);
            match FUNCTIONS.iter().find(|(name, _)| *name == token) {
                Some((_, path)) => out += path,
                None if token == "pi" => out += "PI",
                None if first.is_ascii_digit() && !token.contains(['.', 'e']) => {
                    out += token;
                    out += ".0";
                }
                None => out += token,
            }
            rest = after;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_read_in_both_languages() {
        let text = "PEAK * 0.5 * (1 + cos(pi * progress)) + pow(1e-3, step - 20)";
        assert_eq!(Language::Python.expression(text), text);
        let rust = "PEAK * 0.5 * (1.0 + f64::cos(PI * progress)) + f64::powf(1e-3, step - 20.0)";
        assert_eq!(Language::Rust.expression(text), rust);
        assert_eq!([20.0, 0.002, 1e-8].map(|value| Language::Rust.float(value)), ["20.0", "0.002", "1e-8"]);
    }
}
