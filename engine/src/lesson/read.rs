//! Reads the text of a lesson, a line at a time. Whatever is wrong is told with its line.

use super::{Expression, Fault, Lesson, Question, Step, Words};
use crate::spec::{Link, MAX_LINK_BYTES, Page, RunSpec, excerpt, field};

/// The most steps of a lesson.
const MOST_STEPS: usize = 20;

/// A line that says nothing by itself.
type Wrong = String;

/// What has been read so far.
#[derive(Default)]
struct Reader {
    lesson: Option<Lesson>,
    spec: RunSpec,
    /// Runs that the steps so far have named.
    runs: Vec<String>,
    /// Whether the next line of text begins a paragraph.
    apart: bool,
}

impl Lesson {
    /// Reads a lesson.
    ///
    /// # Errors
    /// The first line that is wrong, and why.
    pub fn read(text: &str) -> Result<Self, Fault> {
        let fault = |line: usize, message: String| Fault { line, message };
        if text.len() > MAX_LINK_BYTES {
            return Err(fault(1, format!("a lesson has at most {MAX_LINK_BYTES} bytes")));
        }
        let mut reader = Reader::default();
        let mut last = 1;
        for (i, line) in text.lines().enumerate() {
            last = i + 1;
            // What a step lacks is told where it begins to be missed: at the line that ends it.
            reader.line(line.trim()).map_err(|message| fault(last, message))?;
        }
        reader.end().map_err(|message| fault(last, message))
    }
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), Wrong> {
        if line.is_empty() {
            self.apart = true;
            return Ok(());
        }
        let apart = std::mem::replace(&mut self.apart, false);
        if let Some(title) = line.strip_prefix("# ") {
            return self.begin(title);
        }
        let Some(lesson) = &mut self.lesson else {
            return Err("a lesson begins with “# ” and its title".into());
        };
        if let Some(title) = line.strip_prefix("## ") {
            return self.step(title);
        }
        let Some(step) = lesson.steps.last_mut() else {
            return self.head(line);
        };
        if let Some(option) = line.strip_prefix("- ").filter(|_| step.ask.is_some()) {
            return self.option(option);
        }
        if let Some(told) = line.strip_prefix('@') {
            self.apart = true;
            let (what, rest) = told.split_once(char::is_whitespace).unwrap_or((told, ""));
            return self.directive(what, rest.trim());
        }
        match step.text.last_mut().filter(|_| !apart) {
            Some(paragraph) => *paragraph = format!("{paragraph} {line}"),
            None => step.text.push(line.into()),
        }
        Ok(())
    }

    fn begin(&mut self, title: &str) -> Result<(), Wrong> {
        if self.lesson.is_some() {
            return Err("a lesson has one title; its steps begin with “## ”".into());
        }
        let (title, about, preset) = (title.trim().into(), String::new(), Link::default().preset);
        self.lesson = Some(Lesson { title, about, card: None, preset, steps: Vec::new() });
        Ok(())
    }

    /// A line before the first step.
    fn head(&mut self, line: &str) -> Result<(), Wrong> {
        let Some(lesson) = &mut self.lesson else { return Ok(()) };
        if let Some(card) = line.strip_prefix("@card ") {
            lesson.card = Some(card.trim().into());
        } else if let Some(link) = line.strip_prefix("@start ") {
            let link = Link::parse(link);
            if let Some(issue) = link.issues.first() {
                return Err(issue.message.clone());
            }
            if link.page != Page::Lab {
                return Err("a lesson starts from a link to the lab".into());
            }
            (lesson.preset, self.spec) = (link.preset, link.spec);
        } else if line.starts_with('@') {
            return Err(format!("“{}” belongs into a step, which begins with “## ”", excerpt(line)));
        } else {
            let space = if lesson.about.is_empty() { "" } else { " " };
            lesson.about.extend([space, line]);
        }
        Ok(())
    }

    fn step(&mut self, title: &str) -> Result<(), Wrong> {
        self.whole()?;
        let step = Step {
            title: title.trim().into(),
            text: Vec::new(),
            spec: self.spec.clone(),
            show: Vec::new(),
            run: None,
            ask: None,
            look: None,
            conclusions: Vec::new(),
        };
        let Some(lesson) = &mut self.lesson else { return Ok(()) };
        if lesson.steps.len() == MOST_STEPS {
            return Err(format!("a lesson has at most {MOST_STEPS} steps"));
        }
        lesson.steps.push(step);
        Ok(())
    }

    /// Whether the step before has all that it needs.
    fn whole(&mut self) -> Result<(), Wrong> {
        let Some(step) = self.lesson.as_mut().and_then(|lesson| lesson.steps.last_mut()) else { return Ok(()) };
        if step.ask.as_ref().is_some_and(|ask| ask.options.len() < 2) {
            return Err(format!(
                "the question of “{}” needs two answers or more, each a line “- answer | when it is right”",
                excerpt(&step.title)
            ));
        }
        if step.conclusions.last().is_some_and(|(condition, _)| condition.is_some()) {
            return Err(format!(
                "“{}” needs an “@else”: what it says where the numbers do not show it",
                excerpt(&step.title)
            ));
        }
        let issue = step.spec.sanitize().into_iter().next();
        issue.map_or(Ok(()), |issue| Err(issue.message))
    }

    fn option(&mut self, line: &str) -> Result<(), Wrong> {
        let (answer, when) = line.split_once('|').ok_or("an answer is “- answer | when it is right”")?;
        let holds = Expression::read(when, &self.runs)?;
        if let Some(ask) = self.current().and_then(|step| step.ask.as_mut()) {
            ask.options.push((answer.trim().into(), holds));
        }
        Ok(())
    }

    fn current(&mut self) -> Option<&mut Step> {
        self.lesson.as_mut()?.steps.last_mut()
    }

    fn directive(&mut self, what: &str, rest: &str) -> Result<(), Wrong> {
        if rest.is_empty() {
            return Err(format!("“@{}” says nothing", excerpt(what)));
        }
        match what {
            "set" => self.set(rest)?,
            "show" => self.show(rest)?,
            "run" => self.run(rest)?,
            "if" | "else" => self.conclude(what, rest)?,
            "ask" | "look" => {
                let Some(step) = self.current() else { return Ok(()) };
                match what {
                    "ask" => step.ask = Some(Question { text: rest.into(), options: Vec::new() }),
                    _ => step.look = Some(rest.into()),
                }
            }
            _ => {
                let known = "@set, @show, @run, @ask, @look, @if and @else";
                return Err(format!("there is no “@{}”; a step has {known}", excerpt(what)));
            }
        }
        Ok(())
    }

    fn set(&mut self, rest: &str) -> Result<(), Wrong> {
        let (path, value) = rest.split_once('=').ok_or("a control is set by “@set path=value”")?;
        self.spec.set(path.trim(), value.trim()).map_err(|issue| issue.message)?;
        let spec = self.spec.clone();
        if let Some(step) = self.current() {
            step.spec = spec;
        }
        Ok(())
    }

    fn show(&mut self, rest: &str) -> Result<(), Wrong> {
        for path in rest.split(',').map(str::trim) {
            if field(&self.spec, path).is_none() {
                return Err(format!("there is no control “{}” here", excerpt(path)));
            }
            if let Some(step) = self.current() {
                step.show.push(path.into());
            }
        }
        Ok(())
    }

    fn run(&mut self, name: &str) -> Result<(), Wrong> {
        let fits = |c: char| c.is_ascii_lowercase() || c == '_';
        if !name.chars().all(fits) || matches!(name, "and" | "or" | "not") {
            return Err("a run has a name of small letters".into());
        }
        if self.runs.iter().any(|known| known == name) {
            return Err(format!("there is a run “{name}” already"));
        }
        self.runs.push(name.into());
        let Some(step) = self.current() else { return Ok(()) };
        match step.run.replace(name.into()) {
            Some(_) => Err("a step has one run".into()),
            None => Ok(()),
        }
    }

    fn conclude(&mut self, what: &str, rest: &str) -> Result<(), Wrong> {
        let (condition, text) = match (what, rest.split_once('|')) {
            ("if", Some((condition, text))) => (Some(Expression::read(condition, &self.runs)?), text.trim()),
            ("if", None) => return Err("a conclusion is “@if when | what it says”".into()),
            _ => (None, rest),
        };
        let words = self.words(text)?;
        let Some(step) = self.current() else { return Ok(()) };
        if step.conclusions.last().is_some_and(|(condition, _)| condition.is_none()) {
            return Err("nothing comes after “@else”".into());
        }
        step.conclusions.push((condition, words));
        Ok(())
    }

    /// A text with numbers in braces.
    fn words(&self, text: &str) -> Result<Words, Wrong> {
        let mut parts = text.split('{');
        let mut words = vec![(parts.next().unwrap_or_default().to_owned(), None)];
        for part in parts {
            let (inner, after) = part.split_once('}').ok_or("a brace is not closed")?;
            let value = Expression::read(inner, &self.runs)?;
            if let Some(last) = words.last_mut() {
                last.1 = Some(value);
            }
            words.push((after.into(), None));
        }
        Ok(Words(words))
    }

    fn end(mut self) -> Result<Lesson, Wrong> {
        self.whole()?;
        let lesson = self.lesson.ok_or("a lesson begins with “# ” and its title")?;
        if lesson.steps.is_empty() {
            return Err("a lesson has at least one step, which begins with “## ”".into());
        }
        Ok(lesson)
    }
}
