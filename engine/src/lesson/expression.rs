//! What a lesson concludes from: comparisons and sums over the numbers of its runs, such as
//! `fast.loss > 2 * slow.loss and fast.failed < 1`.

use super::numbers::Quantity;

/// What asks for the value of a run's quantity.
pub type Ask<'a> = dyn Fn(&str, Quantity) -> Option<f64> + 'a;

/// An expression. True is 1 and false is 0; a comparison with what is not a number is false.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// Itself.
    Number(f64),
    /// A run's quantity.
    Of(String, Quantity),
    /// Two expressions joined by an operator of [`LEVELS`], or `not` of the second.
    Join(&'static str, Box<[Self; 2]>),
}

/// Operators, those that bind least first; longer ones before those that they begin with. `not` and a sign bind closest.
const LEVELS: [&[&str]; 5] = [&["or"], &["and"], &["<=", ">=", "<", ">"], &["+", "-"], &["*", "/"]];

/// The longest that is read, in bytes, and brackets within brackets: more are a mistake, and would be a call within a call each.
const LONGEST: usize = 500;
const DEEPEST: u32 = 24;

impl Expression {
    /// Reads an expression over runs of the names `known`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(text: &str, known: &[String]) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("an expression has at most {LONGEST} characters"));
        }
        let mut reader = Reader { rest: text.trim_start(), known, depth: 0 };
        let read = reader.level(0)?;
        match reader.rest {
            "" => Ok(read),
            rest => Err(format!("“{}” was not expected here", crate::spec::excerpt(rest))),
        }
    }

    /// Its value; none where a run that it needs has not been made.
    #[must_use]
    pub fn value(&self, ask: &Ask) -> Option<f64> {
        Some(match self {
            Self::Number(value) => *value,
            Self::Of(run, quantity) => ask(run, *quantity)?,
            Self::Join(operator, sides) => {
                let [a, b] = [sides[0].value(ask)?, sides[1].value(ask)?];
                let truth = |holds: bool| f64::from(u8::from(holds));
                match *operator {
                    "or" => truth(a != 0.0 || b != 0.0),
                    "and" => truth(a != 0.0 && b != 0.0),
                    "not" => truth(b == 0.0),
                    "<=" => truth(a <= b),
                    ">=" => truth(a >= b),
                    "<" => truth(a < b),
                    ">" => truth(a > b),
                    "+" => a + b,
                    "-" => a - b,
                    "*" => a * b,
                    _ => a / b,
                }
            }
        })
    }
}

/// Whether a word goes on with it. Beyond ASCII anything: what is a letter there fills tables.
const fn of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

struct Reader<'a> {
    rest: &'a str,
    known: &'a [String],
    depth: u32,
}

impl Reader<'_> {
    /// Takes the operator if it comes next; a word must end where it ends.
    fn take(&mut self, operator: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(operator) else { return false };
        let word = operator.as_bytes()[0].is_ascii_alphabetic();
        if word && rest.starts_with(of_word) {
            return false;
        }
        self.rest = rest.trim_start();
        true
    }

    fn level(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = LEVELS.get(level) else { return self.single() };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.take(operator)) {
            left = Expression::Join(operator, Box::new([left, self.level(level + 1)?]));
        }
        Ok(left)
    }

    fn single(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("there are too many brackets within brackets".into());
        }
        let nought = || Expression::Number(0.0);
        let read = if self.take("(") {
            let inner = self.level(0)?;
            if !self.take(")") {
                return Err("a bracket is not closed".into());
            }
            inner
        } else if self.take("not") {
            Expression::Join("not", Box::new([nought(), self.single()?]))
        } else if self.take("-") {
            Expression::Join("-", Box::new([nought(), self.single()?]))
        } else {
            self.word()?
        };
        self.depth -= 1;
        Ok(read)
    }

    /// A number, or `run.quantity`.
    fn word(&mut self) -> Result<Expression, String> {
        let end = self.rest.find(|c| !(of_word(c) || c == '.')).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return Err("a number or a run's quantity is missing".into());
        }
        self.rest = rest.trim_start();
        if let Some(value) = crate::spec::number(word) {
            return Ok(Expression::Number(value));
        }
        let (run, quantity) = word.split_once('.').unwrap_or((word, ""));
        if !self.known.iter().any(|known| known == run) {
            return Err(format!("there is no run “{}” up to here", crate::spec::excerpt(run)));
        }
        let quantity = Quantity::of(quantity)
            .ok_or_else(|| format!("a run has no “{}”, but {}", crate::spec::excerpt(quantity), Quantity::names()))?;
        Ok(Expression::Of(run.into(), quantity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<f64> {
        let known = ["a", "b", "late"].map(str::to_owned);
        let ask = |run: &str, quantity| match (run, quantity) {
            ("a", Quantity::Loss) => Some(2.0),
            ("b", Quantity::Loss) => Some(f64::NAN),
            ("a" | "b", _) => Some(0.5),
            _ => None,
        };
        Expression::read(text, &known).unwrap().value(&ask)
    }

    #[test]
    fn operators_bind_as_on_paper() {
        assert_eq!(value("1 + 2 * 3"), Some(7.0));
        assert_eq!(value("(1 + 2) * 3 - -1"), Some(10.0));
        assert_eq!(value("8 - 2 - 1"), Some(5.0));
        assert_eq!(value("a.loss > 1 and not (a.test > 1) or 0"), Some(1.0));
        assert_eq!(value("2 <= a.loss"), Some(1.0));
        assert_eq!(value("100 * a.accuracy"), Some(50.0));
    }

    #[test]
    fn what_is_not_a_number_is_neither_more_nor_less() {
        assert_eq!([value("b.loss > 1"), value("b.loss <= 1")], [Some(0.0), Some(0.0)]);
        assert_eq!(value("late.loss > 1"), None, "a run that was not made leaves it open");
    }

    #[test]
    fn mistakes_are_named() {
        let known = ["a".to_owned()];
        for (text, wrong) in [
            ("", "missing"),
            ("a.loss >", "missing"),
            ("c.loss > 1", "no run “c”"),
            ("a.colour > 1", "no “colour”"),
            ("a", "a run has no “”"),
            ("(a.loss", "not closed"),
            ("a.loss 3", "not expected"),
            ("a.loss = 3", "not expected"),
            (&"(".repeat(400), "brackets"),
            (&"-".repeat(400), "brackets"),
            (&"1+".repeat(100_000), "at most 500"),
        ] {
            let error = Expression::read(text, &known).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
