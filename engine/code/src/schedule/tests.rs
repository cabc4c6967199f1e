//! The functions of scripts, evaluated, against the lab's own schedule.

use std::collections::BTreeMap;

use engine::spec::{EffectiveSchedule, Link};

use super::*;

/// Reads and evaluates an expression at once.
struct Reader<'a> {
    rest: &'a str,
    known: &'a BTreeMap<&'static str, f64>,
    functions: &'a [Function],
}

const LEVELS: [&[&str]; 3] = [&["<", ">="], &["+", "-"], &["*", "/", "%"]];

impl Reader<'_> {
    fn level(&mut self, level: usize) -> f64 {
        let Some(operators) = LEVELS.get(level) else { return self.single() };
        let mut left = self.level(level + 1);
        loop {
            self.rest = self.rest.trim_start();
            let Some(operator) = operators.iter().find(|operator| self.rest.starts_with(**operator)) else {
                return left;
            };
            self.rest = &self.rest[operator.len()..];
            let right = self.level(level + 1);
            left = match *operator {
                "<" => f64::from(u8::from(left < right)),
                ">=" => f64::from(u8::from(left >= right)),
                "+" => left + right,
                "-" => left - right,
                "*" => left * right,
                "/" => left / right,
                _ => left % right,
            };
        }
    }

    fn single(&mut self) -> f64 {
        self.rest = self.rest.trim_start();
        if let Some(rest) = self.rest.strip_prefix('(') {
            self.rest = rest;
            let value = self.level(0);
            self.rest = self.rest.trim_start().strip_prefix(')').unwrap();
            return value;
        }
        if let Some(rest) = self.rest.strip_prefix('-') {
            self.rest = rest;
            return -self.single();
        }
        let mut end =
            self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(self.rest.len());
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) && self.rest[..end].ends_with('e') {
            end += 1 + self.rest[end + 1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len() - end - 1);
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Some(inner) = rest.strip_prefix('(') {
            self.rest = inner;
            let mut arguments = vec![self.level(0)];
            while let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
                arguments.push(self.level(0));
            }
            self.rest = self.rest.strip_prefix(')').unwrap();
            return match (word, &arguments[..]) {
                ("cos", [x]) => x.cos(),
                ("sqrt", [x]) => x.sqrt(),
                ("floor", [x]) => x.floor(),
                ("pow", [x, y]) => x.powf(*y),
                ("min", [x, y]) => x.min(*y),
                ("max", [x, y]) => x.max(*y),
                _ => call(
                    self.functions.iter().find(|known| known.name == word).unwrap(),
                    &arguments,
                    self.known,
                    self.functions,
                ),
            };
        }
        match word {
            "pi" => std::f64::consts::PI,
            _ => self.known.get(word).copied().unwrap_or_else(|| word.parse().unwrap_or_else(|_| panic!("{word}"))),
        }
    }
}

fn evaluate(text: &str, known: &BTreeMap<&'static str, f64>, functions: &[Function]) -> f64 {
    let mut reader = Reader { rest: text, known, functions };
    let value = reader.level(0);
    assert_eq!(reader.rest.trim(), "", "{text}");
    value
}

fn call(function: &Function, arguments: &[f64], known: &BTreeMap<&'static str, f64>, functions: &[Function]) -> f64 {
    let mut known = known.clone();
    known.extend(function.arguments.iter().copied().zip(arguments.iter().copied()));
    for line in &function.lines {
        match line {
            Line::Let(name, value) => {
                let value = evaluate(value, &known, functions);
                known.insert(name, value);
            }
            Line::If(condition, value) if evaluate(condition, &known, functions) != 0.0 => {
                return evaluate(value, &known, functions);
            }
            Line::If(..) => {}
            Line::While(condition, moved) => {
                while evaluate(condition, &known, functions) != 0.0 {
                    for (name, value) in moved {
                        let value = evaluate(value, &known, functions);
                        known.insert(name, value);
                    }
                }
            }
            Line::Return(value) => return evaluate(value, &known, functions),
        }
    }
    panic!("{} returns nothing", function.name)
}

#[test]
fn every_shape_is_the_labs() {
    let shapes = Shape::ALL.iter().filter(|&&shape| shape != Shape::OnPlateau).map(|shape| shape.id());
    let settings = [
        "",
        "&schedule.warmup=0",
        "&schedule.floor=0.1&schedule.form=cosine&schedule.cooling=linear",
        "&schedule.floor=1&schedule.form=exponential&schedule.decay=0&schedule.cooldown=0",
        "&schedule.form=sqrt&schedule.decay=200&schedule.warmup=100&schedule.multiplier=2",
        "&schedule.form=inverse_sqrt&schedule.floor=0.3&schedule.between=log&schedule.points=3:1,40:0.5,90:0,111:0.125,120:0.125",
        "&schedule.origin=7&schedule.span=50&schedule.warmup=5&schedule.decay=10&schedule.cooldown=12",
        "&schedule.origin=7&schedule.span=50&schedule.warmup=5&schedule.decay=10&schedule.repeat=true",
        "&schedule.decay=1&optimizer.warm=3",
        "&schedule.warmup=500&schedule.decay=1000",
        "&schedule.start=0&schedule.plateau=0&schedule.cooling=exponential&schedule.peak=0",
        "&steps=1&schedule.warmup=0",
        "&preset=gpt",
    ];
    let mut seen = 0;
    for shape in shapes {
        for setting in settings {
            let preset = if setting.contains("preset") { "gpt" } else { "mlp" };
            let steps = if setting.contains("steps") { "" } else { "&steps=150" };
            let text =
                format!("#lab?preset={preset}{steps}&schedule={shape}{}&v=2", setting.replace("&preset=gpt", ""));
            let link = Link::parse(&text);
            assert_eq!(link.issues, [], "{text}");
            let Rate::Computed { constants, functions } = of(&link.spec, 150) else {
                assert!(shape == "infinite" && setting.contains("repeat"), "{text}");
                continue;
            };
            let lab = EffectiveSchedule::new(&link.spec, 1000);
            let known: BTreeMap<_, _> = constants.iter().copied().collect();
            let rate = functions.last().unwrap();
            for step in 0..link.spec.steps {
                let all = [step as f64, lab.batch(step) as f64, lab.seen(step) as f64];
                let found = call(rate, &all[..rate.arguments.len()], &known, &functions);
                let wanted = lab.lr(step);
                assert!((found - wanted).abs() <= 1e-12 + 1e-9 * wanted, "{text}, step {step}: {found}, not {wanted}");
                seen += 1;
            }
            for (name, _) in &constants {
                assert!(
                    functions.iter().any(|function| function.written(Language::Rust, "").contains(name)),
                    "{text}: {name}"
                );
            }
        }
    }
    assert!(seen > 20_000);
}

#[test]
fn a_schedule_reads_like_one() {
    let link = Link::parse("#lab?preset=mlp&v=2");
    let Rate::Computed { constants, functions } = of(&link.spec, 50) else { panic!("no function") };
    assert_eq!(constants, [("PEAK", 0.002), ("WARMUP", 20.0), ("STEPS", 600.0)]);
    let python = "\
def rate(step):
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    progress = (step - WARMUP) / (STEPS - 1 - WARMUP)
    return PEAK * 0.5 * (1 + cos(pi * progress))";
    assert_eq!(functions[0].written(Language::Python, ""), python);
    let rust = "\
/// Learning rate.
fn rate(step: f64) -> f64 {
    if step < WARMUP {
        return PEAK * (step + 1.0) / WARMUP;
    }
    let progress = (step - WARMUP) / (STEPS - 1.0 - WARMUP);
    PEAK * 0.5 * (1.0 + f64::cos(PI * progress))
}";
    assert_eq!(functions[0].written(Language::Rust, "Learning rate."), rust);
}

#[test]
fn what_is_no_function_of_the_step_is_told() {
    let told = |text: &str| match of(&Link::parse(text).spec, 50) {
        Rate::Recorded(why) => why,
        Rate::Computed { .. } => "",
    };
    assert!(told("#lab?preset=on-the-fly&v=2").contains("curvature"));
    assert!(told("#lab?preset=mlp&schedule=on_plateau&v=2").contains("held-out"));
    assert!(told("#lab?preset=mlp&edit=49:schedule.peak=0.1&v=2").contains("changed"));
    assert_eq!(told("#lab?preset=mlp&edit=50:schedule.peak=0.1&v=2"), "");
}
