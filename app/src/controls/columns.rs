//! Shows how a table or an archive of arrays was read, and lets a person choose what of it is used.

use std::sync::Arc;

use engine::pairs::Pairs;
use engine::protocol::{Choice, Column, ImportOptions, Taken};
use engine::spec::Content;
use leptos::prelude::*;

use crate::erase::{each, flag, heard, part, press, words};
use crate::reactive::{RwSignal, Signal};
use crate::state::Lab;
use crate::text::whole;

/// Rows that are shown of a wide table; a search finds the others.
const SHOWN: usize = 60;

/// What a column can be taken for, and what is said of it where it stands.
const KINDS: [(Taken, &str); 3] =
    [(Taken::Number, "number"), (Taken::Category, "category"), (Taken::Ignored, "ignored")];

/// What was said of a file as it was read.
fn notes(choice: &Choice) -> AnyView {
    choice.notes.iter().map(|note| view! { <p class="soft">{note.clone()}</p> }).collect_view().into_any()
}

/// Cancel, and the answer once it would do.
fn foot(lab: Lab, enough: impl Fn() -> bool + Send + 'static, answer: impl Fn() -> ImportOptions + 'static) -> AnyView {
    let read = move |_| lab.choose(untrack(&answer));
    let refusal = move || lab.refusal.get().map(|why| view! { <p class="problem" role="alert">{why}</p> }.into_any());
    view! {
        {part(refusal)}
        <div class="dialog-foot">
            <button on:click=press(move |_| lab.dialog.set(None))>"Cancel"</button>
            <button class="primary" disabled=flag(move || !enough()) on:click=press(read)>"Read it"</button>
        </div>
    }
    .into_any()
}

/// A list of names to choose one from.
fn names(label: Signal<&'static str>, all: Vec<String>, chosen: RwSignal<String>) -> AnyView {
    let options = all.into_iter().map(|name| {
        let mine = name.clone();
        let value = name.clone();
        view! { <option value=value prop:selected=move || chosen.get() == mine>{name}</option> }
    });
    let options = options.collect_view();
    view! {
        <label class="line">
            <span>{move || label.get()}</span>
            <select on:change=heard(move |event| chosen.set(event_target_value(&event)))>{options}</select>
        </label>
    }
    .into_any()
}

/// What the rows of a table are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    /// Examples with a class.
    Class,
    /// Examples with a number to predict.
    Number,
    /// Steps in time.
    Time,
}

/// What a person has chosen about a table.
#[derive(Clone, Copy)]
struct Answer {
    columns: StoredValue<Vec<Column>>,
    /// Columns that are taken for something else than they were.
    changed: RwSignal<Pairs<usize, Taken>>,
    target: RwSignal<String>,
    series: RwSignal<bool>,
}

impl Answer {
    /// What a column is taken for as an input: of a series only numbers.
    fn taken(self, i: usize) -> Taken {
        let usual = self.columns.with_value(|columns| columns[i].taken);
        let taken = self.changed.with(|changed| changed.get(&i).copied()).unwrap_or(usual);
        if self.series.get() && taken == Taken::Category { Taken::Ignored } else { taken }
    }

    fn is_target(self, i: usize) -> bool {
        self.columns.with_value(|columns| self.target.with(|target| columns[i].name == *target))
    }

    /// Positions of the columns that are learned from.
    fn inputs(self) -> Vec<usize> {
        let all = 0..self.columns.with_value(Vec::len);
        all.filter(|&i| !self.is_target(i) && self.taken(i) != Taken::Ignored).collect()
    }

    /// What a row is.
    fn row(self) -> Row {
        let classes = self.columns.with_value(|columns| {
            let target = (0..columns.len()).find(|&i| self.is_target(i))?;
            Some(match self.changed.with(|changed| changed.get(&target).copied()) {
                Some(Taken::Category) => true,
                Some(Taken::Number) => false,
                _ => columns[target].classes,
            })
        });
        match classes {
            _ if self.series.get() => Row::Time,
            Some(false) => Row::Number,
            _ => Row::Class,
        }
    }

    /// Says what a row is.
    fn set_row(self, row: Row, likely: &str) {
        let series = row == Row::Time;
        if self.series.get_untracked() != series {
            self.series.set(series);
            self.target.set(likely.to_owned());
        }
        let target = self.columns.with_value(|columns| {
            let target = self.target.get_untracked();
            columns.iter().position(|column| column.name == target)
        });
        if let Some(target) = target.filter(|_| !series) {
            let taken = if row == Row::Class { Taken::Category } else { Taken::Number };
            self.changed.update(|changed| {
                changed.insert(target, taken);
            });
        }
    }

    fn options(self) -> ImportOptions {
        let (series, target, inputs) = (self.series.get(), self.target.get(), self.inputs());
        self.columns.with_value(|columns| {
            let mut names: Vec<String> = inputs.iter().map(|&i| columns[i].name.clone()).collect();
            if series && names.is_empty() {
                // From itself alone.
                names.push(target.clone());
            }
            let kinds = self.changed.with(|changed| {
                let other = changed.iter().filter(|(i, taken)| {
                    let column = &columns[**i];
                    let category = if column.name == target { column.classes } else { column.text };
                    **taken != Taken::Ignored && (**taken == Taken::Category) != category
                });
                other.map(|(i, taken)| (columns[*i].name.clone(), *taken)).collect()
            });
            let content = Some(if series { Content::Series } else { Content::Table });
            ImportOptions { content, target, columns: names, kinds: if series { Vec::new() } else { kinds } }
        })
    }
}

/// The dialog's content for a table.
#[component]
pub fn Columns(choice: Choice) -> impl IntoView {
    let lab = Lab::of();
    let said = notes(&choice);
    let Choice { name, rows, columns, target, forecast, series, .. } = choice;
    let count = columns.len();
    let all: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let first = if series { forecast.clone() } else { target.clone() };
    let answer = Answer {
        columns: StoredValue::new(columns),
        changed: RwSignal::new(Pairs::default()),
        target: RwSignal::new(first),
        series: RwSignal::new(series),
    };
    let kind = move |row: Row, label: &'static str| {
        let likely = if row == Row::Time { forecast.clone() } else { target.clone() };
        let checked = words(move || (answer.row() == row).to_string());
        let choose = press(move |_| answer.set_row(row, &likely));
        view! { <button role="radio" aria-checked=checked on:click=choose>{label}</button> }
    };
    let wanted = move || match answer.row() {
        Row::Class => "class",
        Row::Number => "number to predict",
        Row::Time => "forecast",
    };
    let search = RwSignal::new(String::new());
    let found = Signal::memo(move |_| {
        let wanted = lower(&search.get());
        let fits = |column: &Column| wanted.is_empty() || lower(&column.name).contains(&wanted);
        answer.columns.with_value(|columns| (0..columns.len()).filter(|&i| fits(&columns[i])).collect::<Vec<_>>())
    });
    let shown = Signal::derive(move || found.with(|found| found.iter().copied().take(SHOWN).collect::<Vec<_>>()));
    let more = move || match found.with(Vec::len).saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("… and {} more; search for a name to see them.", whole(more as u64)),
    };
    let summary = move || {
        let inputs = answer.inputs();
        match (inputs.len(), answer.series.get()) {
            (0, true) => "Forecast from its own past alone.".to_owned(),
            (0, false) => {
                "Nothing is left to learn from; if rows follow in time, a column can be forecast from itself."
                    .to_owned()
            }
            (1, _) => "Learns from 1 column.".to_owned(),
            (n, _) => format!("Learns from {} columns.", whole(n as u64)),
        }
    };
    let enough = move || answer.series.get() || !answer.inputs().is_empty();
    view! {
        <p class="soft">{format!("{name}: {} rows, {} columns. It is read here and never leaves this machine.", whole(rows as u64), whole(count as u64))}</p>
        {said}
        <div class="columns">
            <div class="chips" role="radiogroup" aria-label="What a row is">
                {kind(Row::Class, "each row has a class")} {kind(Row::Number, "each row has a number")}
                {kind(Row::Time, "rows follow in time")}
            </div>
            {names(Signal::derive(wanted), all, answer.target)}
            {part(move || (count > SHOWN).then(|| view! {
                <input
                    type="search"
                    placeholder="Search columns"
                    aria-label="Search columns"
                    on:input=heard(move |event| search.set(event_target_value(&event)))
                />
            }.into_any()))}
            <table class="taken">
                <thead><tr><th>"column"</th><th>"taken for"</th><th>"first values"</th></tr></thead>
                <tbody>{each(shown, Arc::new(move |i| row(answer, i)))}</tbody>
            </table>
            <p class="soft">{words(more)}</p>
            <p class="soft" role="status">{words(summary)}</p>
        </div>
        {foot(lab, enough, move || answer.options())}
    }
    .into_any()
}

/// A column: what it is taken for, and what it holds.
fn row(answer: Answer, i: usize) -> AnyView {
    let Column { name, text, note, first, distinct, .. } = answer.columns.with_value(|columns| columns[i].clone());
    let target = "target";
    let now = move || if answer.is_target(i) { target } else { answer.taken(i).id() };
    let options = KINDS.map(|(taken, label)| (taken.id(), label)).into_iter().chain([(target, target)]);
    let options =
        options.map(|(id, label)| view! { <option value=id prop:selected=move || now() == id>{label}</option> });
    let options = options.collect_view();
    let mine = name.clone();
    let take = move |event: web_sys::Event| match Taken::read(&event_target_value(&event)) {
        Some(taken) => {
            // What was the target becomes an input again; another one is likely to be asked for.
            if answer.is_target(i) {
                let other = answer.columns.with_value(|columns| {
                    let others = columns.iter().enumerate().rev().filter(|(other, _)| *other != i);
                    others.map(|(_, column)| column.name.clone()).next()
                });
                if let Some(other) = other {
                    answer.target.set(other);
                }
            }
            answer.changed.update(|changed| {
                changed.insert(i, taken);
            });
        }
        None => answer.target.set(mine.clone()),
    };
    let (what, label) = (if text { "texts" } else { "values" }, format!("{name} is taken for"));
    view! {
        <tr class:out=move || now() == Taken::Ignored.id() class:aim=move || now() == target>
            <th scope="row">{name}<small>{format!("{distinct} different {what}")}</small></th>
            <td><select aria-label=label on:change=heard(take)>{options}</select></td>
            <td><span class="first">{first.join(", ")}</span>{(!note.is_empty()).then(|| view! { <small>{note}</small> })}</td>
        </tr>
    }
    .into_any()
}

/// The dialog's content for an archive of arrays.
#[component]
pub fn Arrays(choice: Choice) -> impl IntoView {
    let lab = Lab::of();
    let said = notes(&choice);
    let Choice { name, columns, inputs, target, .. } = choice;
    let (inputs, labels) = (RwSignal::new(inputs), RwSignal::new(target));
    let rows = columns.iter().map(|array| {
        view! {
            <tr>
                <th scope="row">{array.name.clone()}</th>
                <td>{array.distinct.clone()}</td>
                <td><span class="first">{format!("{}, …", array.first.join(", "))}</span></td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    let all = |fits: fn(&Column) -> bool| -> Vec<String> {
        // None may be chosen yet.
        let fitting = columns.iter().filter(|column| fits(column)).map(|column| column.name.clone());
        [String::new()].into_iter().chain(fitting).collect()
    };
    let (of_inputs, of_labels) = (all(|_| true), all(|column| column.classes));
    let enough = move || inputs.with(|x| labels.with(|y| !x.is_empty() && !y.is_empty() && x != y));
    let answer =
        move || ImportOptions { target: labels.get(), columns: vec![inputs.get()], ..ImportOptions::default() };
    view! {
        <p class="soft">{format!("{name} has {} arrays. It is read here and never leaves this machine.", columns.len())}</p>
        {said}
        <div class="columns">
            {names(Signal::stored("inputs"), of_inputs, inputs)}
            {names(Signal::stored("labels"), of_labels, labels)}
            <table class="taken">
                <thead><tr><th>"array"</th><th>"shape"</th><th>"first values"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        {foot(lab, enough, answer)}
    }
    .into_any()
}

/// In lower case, as the browser writes it: Rust's own tables of letters would weigh 6 KB.
fn lower(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}
