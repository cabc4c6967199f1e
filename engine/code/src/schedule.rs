//! The learning rate as a short function of the step, in the language of a script.
//!
//! The formulas are those of `engine::spec::ScheduleSpec`, with what this recipe does not use left out. They are written once, in
//! expressions that Python reads as they are and that Rust reads after [`Language::expression`]; the tests evaluate them beside the
//! lab's own.

use engine::spec::{Auto, Decay, ModelSpec, Momentum, RunSpec, Scaling, ScheduleSpec, Shape};

use crate::text::{Language, number};

/// A line of a function.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A name for a value; may be one that is known already.
    Let(&'static str, String),
    /// Returns the value if the condition holds.
    If(String, String),
    /// While the condition holds, these names get new values, in order.
    While(String, Vec<(&'static str, String)>),
    /// Ends the function.
    Return(String),
}

/// A function of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What it is told.
    pub arguments: Vec<&'static str>,
    /// What it does; ends with a [`Line::Return`].
    pub lines: Vec<Line>,
}

/// Where a script has its learning rates from.
#[derive(Clone, Debug, PartialEq)]
pub enum Rate {
    /// The last of these functions, which may call the others; with the constants that they need.
    Computed { constants: Vec<(&'static str, f64)>, functions: Vec<Function> },
    /// The lab's own, one an update; and why they are no function of the step.
    Recorded(&'static str),
}

/// Numbers of a schedule by name, in the order in which they are first used.
#[derive(Default)]
struct Constants(Vec<(&'static str, f64)>);

impl Constants {
    /// The name of a number.
    fn name(&mut self, name: &'static str, value: f64) -> &'static str {
        if !self.0.iter().any(|(known, _)| *known == name) {
            self.0.push((name, value));
        }
        name
    }
}

/// The schedule of a run of whose updates the first `updates` are made.
pub fn of(run: &RunSpec, updates: u64) -> Rate {
    let spec = &run.schedule;
    if run.edits.iter().any(|edit| edit.step < updates) {
        return Rate::Recorded("the recipe was changed while the run went on");
    }
    if spec.auto != Auto::Off {
        return Rate::Recorded("the lab set them from the curvature that it measured");
    }
    if spec.kind == Shape::OnPlateau {
        return Rate::Recorded("the lab lowered them when the loss on held-out examples stood still");
    }
    if spec.kind == Shape::Infinite && spec.repeat {
        return Rate::Recorded("the schedule starts again at a plateau");
    }
    Writer { run, spec, constants: Constants::default(), functions: Vec::new() }.write()
}

/// Steps that the shape fills.
fn length(run: &RunSpec) -> u64 {
    let spec = &run.schedule;
    if spec.span > 0 { spec.span } else { run.steps.saturating_sub(spec.origin) }
}

struct Writer<'a> {
    run: &'a RunSpec,
    spec: &'a ScheduleSpec,
    constants: Constants,
    functions: Vec<Function>,
}

impl Writer<'_> {
    fn write(mut self) -> Rate {
        let mut lines = Vec::new();
        if self.spec.kind != Shape::Drawn {
            self.peak();
        }
        if self.run.optimizer.warm > 0 {
            let warm = self.constants.name("WARM", self.run.optimizer.warm as f64);
            lines.push(Line::If(format!("step < {warm}"), "0".into()));
        }
        self.clock(&mut lines);
        let warms = self.spec.warmup > 0 && self.spec.kind != Shape::OneCycle;
        if self.spec.kind == Shape::Power {
            self.power(&mut lines, warms);
        } else {
            let body = self.body();
            if warms {
                let begin = self.begin();
                let warmup = self.constants.name("WARMUP", self.spec.warmup as f64);
                lines.push(Line::If(format!("step < {warmup}"), format!("{begin} * (step + 1) / {warmup}")));
            }
            lines.extend(body);
        }
        let mut arguments = vec!["step"];
        if self.spec.kind == Shape::Power {
            arguments.extend(["batch", "seen"]);
        }
        self.functions.push(Function { name: "rate", arguments, lines });
        // Of some values a formula has no use, such as a floor of 0.
        let (mut constants, functions) = (self.constants.0, self.functions);
        let texts: Vec<String> = functions.iter().map(|function| function.written(Language::Python, "")).collect();
        constants.retain(|(name, _)| texts.iter().any(|text| text.contains(name)));
        Rate::Computed { constants, functions }
    }

    /// The step of the shape's own clock, where that is not the run's.
    fn clock(&mut self, lines: &mut Vec<Line>) {
        if self.spec.origin > 0 {
            let origin = self.constants.name("ORIGIN", self.spec.origin as f64);
            lines.push(Line::Let("step", format!("max(step - {origin}, 0)")));
        }
        if self.spec.span > 0 {
            let span = self.constants.name("SPAN", self.spec.span as f64);
            let step = if self.spec.repeat { format!("step % {span}") } else { format!("min(step, {span} - 1)") };
            lines.push(Line::Let("step", step));
        }
    }

    /// Steps of the shape, by name.
    fn length(&mut self) -> String {
        let (spec, steps) = (self.spec, self.run.steps as f64);
        if spec.span > 0 {
            return self.constants.name("SPAN", spec.span as f64).into();
        }
        let all = self.constants.name("STEPS", steps);
        match spec.origin {
            0 => all.into(),
            _ => format!("{all} - {}", self.constants.name("ORIGIN", spec.origin as f64)),
        }
    }

    /// Names the share of the way from a step to the last.
    fn progress(&mut self, start: u64, name: &'static str) -> Line {
        let rest = length(self.run).saturating_sub(start.saturating_add(1));
        let share = match (rest, start) {
            (0, _) => "0".into(),
            (_, 0) => format!("step / ({} - 1)", self.length()),
            _ => {
                let start = self.constants.name(name, start as f64);
                format!("(step - {start}) / ({} - 1 - {start})", self.length())
            }
        };
        Line::Let("progress", share)
    }

    /// What a warm-up leads to.
    fn begin(&mut self) -> String {
        if self.spec.kind == Shape::Drawn {
            return format!("drawn({})", self.constants.name("WARMUP", self.spec.warmup as f64));
        }
        let at = engine::spec::Moment {
            step: self.spec.origin,
            steps: self.run.steps,
            batch: 1,
            seen: 0,
            tokens: 1,
            reduced: 1.0,
        };
        let begin = self.spec.lr_at(&at) * self.spec.warmup as f64;
        let peak = self.spec.peak;
        // Of a decay that begins with the last step, the end.
        if (begin - peak).abs() <= 1e-9 * peak { self.constants.name("PEAK", peak).into() } else { number(begin) }
    }

    fn peak(&mut self) -> &'static str {
        self.constants.name("PEAK", self.spec.peak)
    }

    /// The floor as an expression and as a number.
    fn floor(&mut self) -> (String, f64) {
        let floor = self.spec.floor;
        (if floor > 0.0 { self.constants.name("FLOOR", floor).into() } else { "0".into() }, floor)
    }

    /// The shape without its warm-up.
    fn body(&mut self) -> Vec<Line> {
        let (spec, warmup) = (self.spec, self.spec.warmup);
        let since = |writer: &mut Self| match warmup {
            0 => "step".to_owned(),
            _ => format!("step - {}", writer.constants.name("WARMUP", warmup as f64)),
        };
        let mut lines = Vec::new();
        let share = match spec.kind {
            Shape::Cosine | Shape::Linear | Shape::Exponential => {
                lines.push(self.progress(warmup, "WARMUP"));
                let form = match spec.kind {
                    Shape::Cosine => Decay::Cosine,
                    Shape::Linear => Decay::Linear,
                    _ => Decay::Exponential,
                };
                let floor = self.floor();
                between(form, ("1".into(), 1.0), floor)
            }
            Shape::Polynomial => {
                lines.push(self.progress(warmup, "WARMUP"));
                let power = self.constants.name("POWER", spec.power);
                match self.floor() {
                    (_, 0.0) => format!("pow(1 - progress, {power})"),
                    (floor, _) => format!("({floor} + (1 - {floor}) * pow(1 - progress, {power}))"),
                }
            }
            Shape::InverseSqrt => {
                let root = match warmup {
                    0 => "sqrt(1 / (1 + step))".to_owned(),
                    _ => {
                        let warmup = self.constants.name("WARMUP", warmup as f64);
                        format!("sqrt({warmup} / step)")
                    }
                };
                match self.floor() {
                    (_, 0.0) => root,
                    (floor, _) => format!("max({root}, {floor})"),
                }
            }
            Shape::Step => {
                let since = since(self);
                let period = self.constants.name("PERIOD", spec.period.max(1) as f64);
                let factor = self.constants.name("FACTOR", spec.factor);
                let drops = match warmup {
                    0 => format!("floor({since} / {period})"),
                    _ => format!("floor(({since}) / {period})"),
                };
                match self.floor() {
                    (_, 0.0) => format!("pow({factor}, {drops})"),
                    (floor, _) => format!("max(pow({factor}, {drops}), {floor})"),
                }
            }
            Shape::Wsd => self.wsd(&mut lines),
            Shape::Infinite => return self.infinite(),
            Shape::Restarts => {
                let since = since(self);
                let period = self.constants.name("PERIOD", spec.period.max(1) as f64);
                if spec.multiplier > 1 {
                    let multiplier = self.constants.name("MULTIPLIER", spec.multiplier as f64);
                    lines.push(Line::Let("since", since));
                    lines.push(Line::Let("length", period.into()));
                    let moved = vec![("since", "since - length".into()), ("length", format!("length * {multiplier}"))];
                    lines.push(Line::While("since >= length".into(), moved));
                    lines.push(Line::Let("progress", "since / length".into()));
                } else {
                    let since = if warmup == 0 { since } else { format!("({since})") };
                    lines.push(Line::Let("progress", format!("{since} % {period} / {period}")));
                }
                let floor = self.floor();
                between(Decay::Cosine, ("1".into(), 1.0), floor)
            }
            Shape::OneCycle => {
                let peak = self.peak();
                if warmup > 0 {
                    let start = (self.constants.name("START", spec.start).to_owned(), spec.start);
                    let rise = self.constants.name("RISE", warmup as f64);
                    let up = between(spec.form, start, ("1".into(), 1.0));
                    let up = up.replace("progress", &format!("(step / {rise})"));
                    lines.push(Line::If(format!("step < {rise}"), format!("{peak} * {up}")));
                }
                lines.push(self.progress(warmup, "RISE"));
                let floor = self.floor();
                between(spec.form, ("1".into(), 1.0), floor)
            }
            Shape::Drawn => return self.drawn(),
            Shape::Constant | Shape::Power | Shape::OnPlateau => String::new(),
        };
        let peak = self.peak();
        lines.push(Line::Return(if share.is_empty() { peak.into() } else { format!("{peak} * {share}") }));
        lines
    }

    /// The share at which a decay stands that starts at a step, after the line that names the progress.
    fn decayed(&mut self, start: u64, lines: &mut Vec<Line>) {
        // One of a single step is at its end there.
        let line = match start.saturating_add(1) >= length(self.run) {
            true => Line::Let("progress", "1".into()),
            false => self.progress(start, "DECAY_FROM"),
        };
        lines.push(line);
    }

    fn wsd(&mut self, lines: &mut Vec<Line>) -> String {
        let start = self.spec.decay_start(length(self.run));
        if start >= length(self.run) {
            return String::new();
        }
        if start > 0 {
            let peak = self.peak();
            let from = self.constants.name("DECAY_FROM", start as f64);
            lines.push(Line::If(format!("step < {from}"), peak.into()));
        }
        self.decayed(start, lines);
        let floor = self.floor();
        between(self.spec.form, ("1".into(), 1.0), floor)
    }

    fn infinite(&mut self) -> Vec<Line> {
        let (spec, peak) = (self.spec, self.peak());
        let start = spec.decay_start(length(self.run));
        let cooled = spec.warmup.saturating_add(spec.cooldown);
        let plateau = (self.constants.name("PLATEAU", spec.plateau).to_owned(), spec.plateau);
        let mut lines = Vec::new();
        if spec.cooldown > 0 {
            let cooldown = self.constants.name("COOLDOWN", spec.cooldown as f64);
            let (done, end) = match spec.warmup {
                0 => (format!("(step / {cooldown})"), cooldown.to_owned()),
                _ => {
                    let warmup = self.constants.name("WARMUP", spec.warmup as f64);
                    (format!("((step - {warmup}) / {cooldown})"), format!("{warmup} + {cooldown}"))
                }
            };
            let cooling = between(spec.cooling, ("1".into(), 1.0), plateau.clone()).replace("progress", &done);
            lines.push(Line::If(format!("step < {end}"), format!("{peak} * {cooling}")));
        }
        let held = format!("{peak} * {}", plateau.0);
        if start >= length(self.run) {
            lines.push(Line::Return(held));
            return lines;
        }
        if start > cooled {
            let from = self.constants.name("DECAY_FROM", start as f64);
            lines.push(Line::If(format!("step < {from}"), held));
        }
        self.decayed(start, &mut lines);
        let floor = self.floor();
        lines.push(Line::Return(format!("{peak} * {}", between(Decay::Exponential, plateau, floor))));
        lines
    }

    /// Batch x gain x tokens^exponent, at most the peak; then a decay from its value there.
    fn power(&mut self, lines: &mut Vec<Line>, warms: bool) {
        let (spec, peak) = (self.spec, self.peak());
        let gain = self.constants.name("GAIN", spec.gain);
        let exponent = self.constants.name("EXPONENT", spec.exponent);
        let law = Line::Return(format!("min(batch * {gain} * pow(max(tokens, 1), {exponent}), {peak})"));
        self.functions.push(Function { name: "law", arguments: vec!["batch", "tokens"], lines: vec![law] });
        let each = match &self.run.model {
            ModelSpec::Gpt(gpt) => format!(" * {}", self.constants.name("CONTEXT", gpt.context as f64)),
            _ => String::new(),
        };
        // Tokens drawn when an update is done, as if all between had batches of this size.
        let tokens = |drawn: &str| if each.is_empty() { drawn.to_owned() } else { format!("({drawn}){each}") };
        let at = |step: &str| format!("law(batch, {})", tokens(&format!("seen + ({step} - step + 1) * batch")));
        let (start, now) = (spec.decay_start(length(self.run)), format!("law(batch, {})", tokens("seen + batch")));
        if warms {
            // A decay that begins with the last step, or later, is at its end there, and so is what the warm-up leads to.
            let late = start <= spec.warmup && start.saturating_add(1) >= length(self.run);
            let end = if late { spec.form.fraction(1.0, spec.floor) } else { 1.0 };
            let end = if end == 1.0 { String::new() } else { format!(" * {}", number(end)) };
            let warmup = self.constants.name("WARMUP", spec.warmup as f64);
            lines.push(Line::If(format!("step < {warmup}"), format!("{}{end} * (step + 1) / {warmup}", at(warmup))));
        }
        if start >= length(self.run) {
            lines.push(Line::Return(now));
            return;
        }
        let from = self.constants.name("DECAY_FROM", start as f64);
        lines.push(Line::If(format!("step < {from}"), now));
        self.decayed(start, lines);
        let floor = self.floor();
        let share = between(spec.form, ("1".into(), 1.0), floor);
        lines.push(Line::Return(format!("{} * {share}", at(from))));
    }

    /// Through the points drawn by hand.
    fn drawn(&mut self) -> Vec<Line> {
        let read = |pair: &str| {
            let (step, rate) = pair.split_once(':')?;
            Some((step.trim().parse::<u64>().ok()?, rate.trim().parse::<f64>().ok()?))
        };
        let points: Vec<(u64, f64)> = self.spec.points.split(',').filter_map(read).collect();
        let mut lines = Vec::new();
        if let Some(&(step, rate)) = points.first()
            && step > 0
        {
            lines.push(Line::If(format!("step < {step}"), number(rate)));
        }
        for pair in points.windows(2) {
            let &[(from, a), (to, b)] = pair else { continue };
            let share = match from {
                0 => format!("step / {to}"),
                _ => format!("(step - {from}) / {}", to - from),
            };
            let log = self.spec.between == engine::spec::Between::Log && a > 0.0 && b > 0.0;
            let value = match log {
                _ if a == b => number(a),
                true => format!("{} * pow({}, {share})", number(a), number(b / a)),
                false => format!("{} + {} * {share}", number(a), bracketed(b - a)),
            };
            lines.push(Line::If(format!("step < {to}"), value));
        }
        lines.push(Line::Return(number(points.last().map_or(0.0, |&(_, rate)| rate))));
        if self.spec.warmup == 0 {
            return lines;
        }
        self.functions.push(Function { name: "drawn", arguments: vec!["step"], lines });
        vec![Line::Return("drawn(step)".into())]
    }
}

/// A number that may stand behind an operator.
fn bracketed(value: f64) -> String {
    if value < 0.0 { format!("({})", number(value)) } else { number(value) }
}

/// The way from one value to another, as [`Decay::between`] has it; each as an expression and as a number.
fn between(form: Decay, (from, a): (String, f64), (to, b): (String, f64)) -> String {
    let share = match form {
        Decay::Linear => "progress",
        Decay::Cosine => "0.5 * (1 - cos(pi * progress))",
        Decay::Sqrt => "sqrt(progress)",
        Decay::InverseSqrt => "(1 - 1 / sqrt(1 + 10 * progress)) / (1 - 1 / sqrt(11))",
        Decay::Exponential => {
            // An end of 0 is taken as a thousandth of the other.
            let least = a.max(b) * 1e-3;
            let end = |text: String, value: f64| if value > 0.0 { (text, value) } else { (number(least), least) };
            let ((from, a), (to, b)) = (end(from, a), end(to, b));
            return match (a, b) {
                _ if least == 0.0 => "0".into(),
                (1.0, _) => format!("pow({to}, progress)"),
                (_, 1.0) => format!("{from} * pow(1 / {from}, progress)"),
                _ => format!("{from} * pow({to} / {from}, progress)"),
            };
        }
    };
    match (form, a, b) {
        (Decay::Cosine, 1.0, 0.0) => "0.5 * (1 + cos(pi * progress))".into(),
        (Decay::Cosine, ..) if b == 0.0 => format!("{from} * 0.5 * (1 + cos(pi * progress))"),
        (_, 1.0, 0.0) => format!("(1 - {share})"),
        _ if b == 0.0 => format!("{from} * (1 - {share})"),
        _ => format!("({from} - ({from} - {to}) * {share})"),
    }
}

/// What a change of the batch size multiplies the learning rate by, `batch` being its size; `None` where it does not.
pub fn scaling(run: &RunSpec, first: usize) -> Option<String> {
    match run.schedule.scaling {
        _ if run.schedule.kind == Shape::Power => None,
        Scaling::None => None,
        Scaling::Linear => Some(format!("batch / {first}")),
        Scaling::Sqrt => Some(format!("sqrt(batch / {first})")),
    }
}

/// Whether momentum moves with the learning rate.
pub fn moves_momentum(run: &RunSpec) -> bool {
    run.schedule.momentum != Momentum::Constant || matches!(run.schedule.auto, Auto::Both)
}

impl Function {
    /// What it yields, in a sentence.
    pub fn comment(&self) -> &'static str {
        match self.name {
            "rate" => "Learning rate of an update, counted from 0.",
            "law" => "A power law in the tokens seen, in proportion to the batch.",
            _ => "Through the points drawn by hand.",
        }
    }

    /// The function in a language, without a line end.
    pub fn written(&self, language: Language, comment: &str) -> String {
        let mut text = match language {
            Language::Python => {
                let mut text = format!("def {}({}):\n", self.name, self.arguments.join(", "));
                if !comment.is_empty() {
                    text += &format!("    \"\"\"{comment}\"\"\"\n");
                }
                text
            }
            Language::Rust => {
                // A constant rate looks at no step.
                let unused = matches!(&self.lines[..], [Line::Return(value)] if !value.contains(self.arguments[0]));
                let mark = if unused { "_" } else { "" };
                let arguments: Vec<String> = self.arguments.iter().map(|name| format!("{mark}{name}: f64")).collect();
                let head = if comment.is_empty() { String::new() } else { format!("/// {comment}\n") };
                format!("{head}fn {}({}) -> f64 {{\n", self.name, arguments.join(", "))
            }
        };
        let moved: Vec<&str> = self
            .lines
            .iter()
            .flat_map(|line| if let Line::While(_, moved) = line { &moved[..] } else { &[] })
            .map(|(name, _)| *name)
            .collect();
        for line in &self.lines {
            text += &line.written(language, &moved);
        }
        if language == Language::Rust { text + "}" } else { text.trim_end().to_owned() }
    }
}

impl Line {
    fn written(&self, language: Language, moved: &[&str]) -> String {
        let of = |text: &str| language.expression(text);
        // What is moved by an operation has its short form.
        let moves =
            |name: &str, value: &str| match value.strip_prefix(name).and_then(|rest| rest.trim_start().split_once(' '))
            {
                Some((operator, rest)) => format!("{name} {operator}= {}", of(rest)),
                None => format!("{name} = {}", of(value)),
            };
        match (language, self) {
            (Language::Python, Line::Let(name, value)) => format!("    {name} = {}\n", of(value)),
            (Language::Python, Line::If(condition, value)) => {
                format!("    if {}:\n        return {}\n", of(condition), of(value))
            }
            (Language::Python, Line::While(condition, moved)) => {
                let lines = moved.iter().map(|(name, value)| format!("        {}\n", moves(name, value)));
                format!("    while {}:\n{}", of(condition), lines.collect::<String>())
            }
            (Language::Python, Line::Return(value)) => format!("    return {}\n", of(value)),
            (Language::Rust, Line::Let(name, value)) => {
                let mutable = if moved.contains(name) { "mut " } else { "" };
                format!("    let {mutable}{name} = {};\n", of(value))
            }
            (Language::Rust, Line::If(condition, value)) => {
                format!("    if {} {{\n        return {};\n    }}\n", of(condition), of(value))
            }
            (Language::Rust, Line::While(condition, moved)) => {
                let lines = moved.iter().map(|(name, value)| format!("        {};\n", moves(name, value)));
                format!("    while {} {{\n{}    }}\n", of(condition), lines.collect::<String>())
            }
            (Language::Rust, Line::Return(value)) => format!("    {}\n", of(value)),
        }
    }
}

#[cfg(test)]
mod tests;
