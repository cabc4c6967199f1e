//! Studies without the page: one as JSON or text, or all of them as a document.

use std::fmt::Write as _;
use std::path::Path;

use engine::figure::{Check, Figure, Holds, Mark, Verdict};
use engine::protocol::{Backend, Reference};
use engine::tree::{self, FromTree};
use serde_json::{Map, Value, json};
use studies::{Finished, STUDIES, Settings, Study};

use crate::{Failure, print, print_json, seeds};

/// Lists the studies.
pub fn list(as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print_json(&studies::cards());
    }
    let line = |study: &&Study| {
        format!("{:02}  {:<18} {} ({} {})", study.id, study.slug, study.title, study.authors, study.year)
    };
    print(&STUDIES.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Runs a study and prints what came out.
pub fn run(name: &str, settings: &Settings, backend: Backend, as_json: bool) -> Result<(), Failure> {
    let study = studies::find(name)
        .ok_or_else(|| Failure::Usage(format!("there is no study “{name}”; see “minibatch study list”")))?;
    let finished = execute(study, settings, backend)?;
    if as_json { print_json(&report(study, &finished)) } else { print(&text(study, &finished)) }
}

fn execute(study: &'static Study, settings: &Settings, backend: Backend) -> Result<Finished, Failure> {
    let (_, issues) = studies::Knobs::new(study.knobs, &settings.knobs);
    if let Some(issue) = issues.first() {
        return Err(Failure::Usage(format!("knob {}: {}", issue.path, issue.message)));
    }
    seeds::run(study, settings, backend).map_err(|error| Failure::Failed(error.to_string()))
}

/// Numbers of every arm by seed, and the verdict.
fn report(study: &Study, finished: &Finished) -> Value {
    let results = &finished.results;
    let arm = |label: &studies::Label| {
        let runs: Vec<Value> = results
            .outcomes(&label.id)
            .map(|(seed, outcome)| {
                let numbers = outcome.numbers.iter().map(|(number, value)| (number.to_string(), json!(value)));
                let curves: Map<_, _> =
                    outcome.curves.iter().map(|(curve, points)| (curve.last().to_string(), json!(points))).collect();
                let own = [("seed".to_owned(), json!(seed)), ("curves".to_owned(), Value::Object(curves))];
                Value::Object(own.into_iter().chain(numbers).collect::<Map<_, _>>())
            })
            .collect();
        json!({ "arm": label.id, "name": label.name, "runs": runs })
    };
    let knobs: Map<String, Value> = results.knobs.iter().map(|(id, value)| (id.to_owned(), value.clone())).collect();
    json!({
        "study": study.id,
        "slug": study.slug,
        "title": study.title,
        "backend": results.backend,
        "seeds": results.seeds,
        "knobs": knobs,
        "arms": results.arms.iter().map(arm).collect::<Vec<_>>(),
        "verdict": finished.verdict,
        "seconds": finished.seconds,
    })
}

fn holds(verdict: &Verdict) -> &'static str {
    match verdict.holds {
        Holds::Yes => "yes",
        Holds::No => "no",
        Holds::Untested => "not tested",
    }
}

/// How many checks hold of those that were tested, and how many were not.
fn passed(checks: &[Check]) -> String {
    let count = |holds| checks.iter().filter(|check| check.holds == holds).count();
    let untested = count(None);
    let passed = format!("{} of {}", count(Some(true)), checks.len() - untested);
    if untested == 0 { passed } else { format!("{passed}, {untested} not tested") }
}

fn text(study: &Study, finished: &Finished) -> String {
    let verdict = &finished.verdict;
    let mut out = format!("Study {:02}: {}\n\n{}\n\n", study.id, study.title, verdict.answer);
    for check in verdict.checks() {
        let mark = match check.holds {
            Some(true) => "holds",
            Some(false) => "fails",
            None => "-",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {mark}  {}: {} (expected {})", check.name, check.measured, check.expected);
    }
    if !verdict.measured.is_empty() {
        let _ = writeln!(out, "\n{}", verdict.measured);
    }
    let _ = write!(out, "\nThe first check decides. {:.0} s on {}.", finished.seconds, finished.results.backend);
    out
}

/// What the document says of one study: its rows of the table, and its section; and what the gallery shows of it.
#[derive(Debug, Default, PartialEq)]
struct Entry {
    rows: String,
    section: String,
    reference: Option<Reference>,
}

impl Entry {
    /// Runs a study, also with the knobs that it says.
    fn measured(study: &'static Study, seeds: u32, backend: Backend) -> Result<Self, Failure> {
        let mut entry = Self::default();
        // Writing to a String cannot fail.
        let _ = write!(
            entry.section,
            "\n## {:02} {}\n\n{} ({} {}).\n\n**Claim.** {}\n\n**Different from the paper.** {}\n",
            study.id, study.title, study.paper, study.authors, study.year, study.claim, study.differs,
        );
        let turned = study.also.iter().map(|knob| vec![knob.map(str::to_owned).into()]);
        for knobs in [vec![]].into_iter().chain(turned) {
            let with: String =
                knobs.iter().map(|(id, value): &(String, String)| format!(" with {id} = {value}")).collect();
            eprintln!("study {:02}{with}: {}", study.id, study.title);
            let finished = execute(study, &Settings { knobs, seeds, ..Settings::default() }, backend)?;
            entry.add(study, &with, &finished);
            entry.reference = entry.reference.or_else(|| reference(study, &finished));
        }
        Ok(entry)
    }

    fn add(&mut self, study: &Study, with: &str, finished: &Finished) {
        let verdict = &finished.verdict;
        let _ = writeln!(
            self.rows,
            "| {:02} | [{}]({}){with} | {} | {} | {} | {:.0} |",
            study.id,
            study.paper,
            study.source,
            holds(verdict),
            passed(&verdict.also),
            finished.results.seeds.len(),
            finished.seconds,
        );
        let _ = write!(
            self.section,
            "\n**Answer{with}.** {} {}\n\n| check | measured | expected | holds |\n|---|---|---|---|\n",
            verdict.answer, verdict.measured
        );
        for check in verdict.checks() {
            let mark = match check.holds {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "not tested",
            };
            let _ = writeln!(self.section, "| {} | {} | {} | {mark} |", check.name, check.measured, check.expected);
        }
    }

    /// What a document that was written before says of a study; nothing if it says nothing.
    fn kept(document: &str, id: u32) -> Self {
        let row = format!("| {id:02} |");
        let rows = document.lines().filter(|line| line.starts_with(&row)).map(|line| format!("{line}\n")).collect();
        let head = format!("\n## {id:02} ");
        let section = document.find(&head).map_or("", |start| {
            let rest = &document[start..];
            &rest[..rest[1..].find("\n## ").map_or(rest.len(), |end| end + 1)]
        });
        Self { rows, section: section.to_owned(), reference: None }
    }
}

/// What the gallery shows of a study; nothing where none of its figures is drawn.
fn reference(study: &Study, finished: &Finished) -> Option<Reference> {
    let figure = finished.figures.iter().find(|figure| figure.marks.iter().any(Mark::drawn))?;
    Some(Reference {
        id: study.id,
        holds: finished.verdict.holds,
        answer: finished.verdict.answer.clone(),
        seeds: finished.results.seeds.len() as u32,
        figure: small(figure)?,
    })
}

/// Points of a line that a small picture shows, at most.
const POINTS: usize = 120;

/// The figure as a small picture needs it: lines of few points, all of them of its own, and numbers of few places.
fn small(figure: &Figure) -> Option<Figure> {
    let mut figure = figure.clone();
    for mark in &mut figure.marks {
        if let Mark::Line { points, band, .. } = mark
            && points.len() > POINTS
        {
            let kept = extremes(points);
            *points = kept.iter().map(|&i| points[i]).collect();
            *band = kept.iter().filter_map(|&i| band.get(i).copied()).collect();
        }
    }
    let mut short = tree::of(&figure);
    shorten(&mut short);
    Figure::from_tree(&short).ok()
}

/// Which points a line keeps: its ends, and of stretches of equal length the lowest and the highest, by which it looks the same.
fn extremes(points: &[[f64; 2]]) -> Vec<usize> {
    let stretch = points.len().div_ceil((POINTS - 2) / 2);
    let mut kept = vec![0, points.len() - 1];
    for start in (0..points.len()).step_by(stretch) {
        let places = start..(start + stretch).min(points.len());
        let by_height = |a: &usize, b: &usize| points[*a][1].total_cmp(&points[*b][1]);
        let finite = || places.clone().filter(|&i| points[i][1].is_finite());
        kept.extend(finite().min_by(by_height));
        kept.extend(finite().max_by(by_height));
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// Rounds every number of a tree that is not whole to three places.
fn shorten(tree: &mut Value) {
    match tree {
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        Value::Number(number) if number.is_f64() => {
            *tree = number.as_f64().and_then(|value| format!("{value:.2e}").parse::<f64>().ok()).into();
        }
        _ => {}
    }
}

/// What the gallery shows of the studies as JSON, each on a line of its own, so that changes can be read.
fn lines(references: &[Reference]) -> String {
    let lines: Vec<String> = references.iter().map(tree::json).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// Runs every study and writes the table of results, failures included, and beside it, ending in `json`, what the gallery
/// shows of them; with a study's number or name, that one alone, and what the document says of the others stays.
pub fn document(file: &Path, only: Option<&str>, seeds: u32, backend: Backend) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", file.display()));
    let unknown = |name: &str| Failure::Usage(format!("there is no study “{name}”; see “minibatch study list”"));
    let only = only.map(|name| studies::find(name).ok_or_else(|| unknown(name))).transpose()?;
    let before = if only.is_some() { std::fs::read_to_string(file).map_err(failed)? } else { String::new() };
    let shown = file.with_extension("json");
    // The gallery's file may not be there yet.
    let known = tree::parse::<Vec<Reference>>(std::fs::read_to_string(&shown).unwrap_or_default()).unwrap_or_default();
    let (mut rows, mut sections, mut references) = (String::new(), String::new(), Vec::new());
    for &study in STUDIES {
        let wanted = only.is_none_or(|only| only.id == study.id);
        let entry = if wanted { Entry::measured(study, seeds, backend)? } else { Entry::kept(&before, study.id) };
        rows += &entry.rows;
        sections += &entry.section;
        let before = || {
            let known = known.iter().find(|reference| !wanted && reference.id == study.id)?;
            Some(Reference { figure: small(&known.figure)?, ..known.clone() })
        };
        references.extend(entry.reference.or_else(before));
    }
    let backend = match backend {
        Backend::Cpu => "CPU",
        Backend::Webgpu => "GPU",
        Backend::Auto => "automatic",
    };
    let machine = format!("{}, {backend} backend", std::env::consts::ARCH);
    let page = format!(
        "# Studies: expected against measured\n\nWritten by `minibatch studies --write`; each number comes from a run of the \
         studies as they are in this tree ({machine}). The first check of a study is its paper's main claim and decides; the \
         others are further claims. A study that does not show its paper's effect here says so.\n\n\
         | no. | paper | main claim holds here | further checks | seeds | seconds |\n|---|---|---|---|---|---|\n{rows}{sections}"
    );
    std::fs::write(file, page).map_err(failed)?;
    std::fs::write(&shown, lines(&references)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_keeps_what_it_says_of_other_studies() {
        let page =
            "# Studies\n\n| no. |\n|---|\n| 01 | a |\n| 04 | b |\n| 04 | b with c |\n\n## 01 A\n\nx\n\n## 04 B\n\ny\n";
        let entry = |rows: &str, section: &str| Entry { rows: rows.into(), section: section.into(), reference: None };
        assert_eq!(Entry::kept(page, 1), entry("| 01 | a |\n", "\n## 01 A\n\nx\n"));
        assert_eq!(Entry::kept(page, 4), entry("| 04 | b |\n| 04 | b with c |\n", "\n## 04 B\n\ny\n"));
        assert_eq!(Entry::kept(page, 9), Entry::default());
    }

    #[test]
    fn the_committed_table_and_gallery_tell_the_same_answers() {
        let page = include_str!("../../STUDIES.md");
        let references: Vec<Reference> = tree::parse(include_str!("../../STUDIES.json")).unwrap();
        let alike = |study: &&&Study| {
            let section = Entry::kept(page, study.id).section;
            let told = section.split_once("\n**Answer.** ").map(|(_, told)| told);
            let shown = references.iter().find(|reference| reference.id == study.id);
            told.zip(shown).is_some_and(|(told, shown)| told.starts_with(&shown.answer))
        };
        let differ: Vec<u32> = STUDIES.iter().filter(|study| !alike(study)).map(|study| study.id).collect();
        assert!(differ.is_empty(), "run these anew with “minibatch studies NUMBER --write STUDIES.md”: {differ:?}");
    }

    #[test]
    fn the_gallery_has_a_study_on_each_line() {
        let reference = |id| Reference {
            id,
            holds: Holds::Yes,
            answer: "Yes. It\nis so.".into(),
            seeds: 3,
            figure: Figure::default(),
        };
        for ids in [&[][..], &[1], &[1, 4, 7]] {
            let references: Vec<Reference> = ids.iter().copied().map(reference).collect();
            let written = lines(&references);
            assert_eq!(tree::parse::<Vec<Reference>>(&written), Ok(references));
            assert_eq!(written.lines().count(), ids.len().max(1) + 2);
        }
    }

    #[test]
    fn what_was_not_tested_is_not_counted_against_a_study() {
        let checks = |holds: &[Option<bool>]| -> Vec<Check> {
            let check = |&holds| Check { name: "".into(), measured: "".into(), expected: "".into(), holds };
            holds.iter().map(check).collect()
        };
        assert_eq!(passed(&checks(&[Some(true), Some(false)])), "1 of 2");
        assert_eq!(passed(&checks(&[Some(true), None, Some(false), None])), "1 of 2, 2 not tested");
        assert_eq!(passed(&checks(&[])), "0 of 0");
    }

    #[test]
    fn a_small_picture_has_the_ends_and_the_extremes_of_a_line() {
        let mut points: Vec<[f64; 2]> = (0..1000).map(|x| [f64::from(x), (f64::from(x) / 50.0).sin()]).collect();
        points[333][1] = 9.0;
        points[777][1] = -9.0;
        points[500][1] = f64::NAN;
        let line = Mark::line("a", Default::default(), Default::default(), points.clone());
        let figure = Figure { marks: vec![line], ..Figure::default() };
        let small = small(&figure).unwrap();
        let [Mark::Line { points: kept, .. }] = &small.marks[..] else { panic!("{small:?}") };
        assert!(kept.len() <= POINTS, "{}", kept.len());
        assert_eq!((kept[0][0], kept[kept.len() - 1][0]), (0.0, 999.0));
        for place in [333, 777] {
            assert!(kept.contains(&points[place]), "{place}");
        }
        assert!(kept.iter().all(|[x, y]| (points[*x as usize][1] - y).abs() < 0.01));
        assert_eq!(super::small(&small), Some(small));
    }

    #[test]
    fn a_small_picture_has_numbers_of_three_places() {
        let mut tree = json!({ "x": [0.123_456, 3, -98_765.4], "name": "1.2345" });
        shorten(&mut tree);
        assert_eq!(tree, json!({ "x": [0.123, 3, -98_800.0], "name": "1.2345" }));
    }
}
