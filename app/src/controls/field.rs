//! One control, for whatever kind of value it takes: label, value, slider or choices, what it does.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::erase::{flag, heard, keyed, part, press, words};
use engine::decimal;
use engine::spec::{Kind, number};
use leptos::ev::Targeted;
use leptos::prelude::*;
use libm::pow;
use web_sys::HtmlInputElement;

use crate::reactive::{RwSignal, Signal};
use crate::terms::explained;
use crate::text::part_of;
use crate::widgets::icon::Icon;
use crate::widgets::keys;

/// What a control is about.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// As in links.
    pub path: String,
    /// As on the page.
    pub label: String,
    /// What turning it does, as things are.
    pub effect: Signal<String>,
    /// Unit of its values.
    pub unit: String,
    /// The values it takes.
    pub kind: Kind,
}

/// How many controls have been made: each has an id of its own.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// A control. Values are text, written as in links.
#[component]
pub fn Control(
    about: About,
    value: Signal<String>,
    /// Its value unless turned: a dot marks a difference.
    base: Signal<String>,
    issue: Signal<Option<String>>,
    set: Callback<String>,
    #[prop(into)] disabled: Signal<bool>,
) -> impl IntoView {
    let About { path, label, effect, unit, kind } = about;
    // Told again only where it has changed: a box that is told the same loses what is being typed into it.
    let value = Signal::memo(move |_| value.get());
    let changed = Signal::memo(move |_| value.get() != base.get());
    let name = label.clone();
    // Two parts of the page may have a control for the same.
    let id = format!("control-{}", MADE.fetch_add(1, Ordering::Relaxed));
    // A label is of one element; that of several choices is the group's own.
    let several = matches!(&kind, Kind::Choice { options } if few(options));
    let dot = move || {
        changed.get().then(|| view! { <span class="changed-dot" title="differs from the preset"></span> }.into_any())
    };
    let heading = match several {
        true => view! { <span class="label" id=format!("{id}-label")>{part(dot)}{label}</span> }.into_any(),
        false => view! { <label class="label" for=id.clone()>{part(dot)}{label}</label> }.into_any(),
    };
    let [inline, wide] = body(&kind, &id, [&name, &unit], value, issue, set, disabled);
    view! {
        <div class="field" data-path=path class:changed=flag(move || changed.get())>
            {heading}
            <span class="value">
                {part(move || changed.get().then(|| {
                    let reset = format!("Reset {name}");
                    view! {
                        <button class="plain icon reset" aria-label=reset.clone() title=reset disabled=flag(move || disabled.get())
                            on:click=press(move |_| set.run(base.get_untracked()))>
                            <Icon name="undo"/>
                        </button>
                    }
                    .into_any()
                }))}
                {inline}
                {(!unit.is_empty()).then(|| view! { <span class="unit">{unit}</span> })}
            </span>
            {wide}
            <span class="effect" id=format!("{id}-effect")>{explained(move || effect.get())}</span>
            {part(move || issue.get().map(|text| view! { <span class="problem" role="alert">{text}</span> }.into_any()))}
        </div>
    }
    .into_any()
}

/// The part beside the label and the part below.
fn body(
    kind: &Kind,
    id: &str,
    [label, unit]: [&str; 2],
    value: Signal<String>,
    issue: Signal<Option<String>>,
    set: Callback<String>,
    disabled: Signal<bool>,
) -> [AnyView; 2] {
    // An empty list is a value like others: no hidden layers.
    let placeholder = matches!(kind, Kind::List { .. }).then_some(NONE);
    let typed = |class: &'static str| {
        let id = id.to_owned();
        let described = format!("{id}-effect");
        view! {
            <input
                id=id
                class=class
                type="text"
                autocomplete="off"
                spellcheck="false"
                inputmode=if class == "text" { "text" } else { "decimal" }
                placeholder=placeholder
                prop:value=words(move || value.get())
                aria-describedby=described
                aria-invalid=words(move || issue.get().is_some().to_string())
                disabled=flag(move || disabled.get())
                on:change=heard(move |event| set.run(plain(event_target_value(&event).trim())))
            />
        }
        .into_any()
    };
    let nothing = || ().into_any();
    match kind {
        &Kind::Integer { min, slider, log, .. } => {
            let span = Span::whole(min, slider, log);
            [typed("number"), slide(span, [label, unit], value, set, disabled)]
        }
        &Kind::Number { min, slider, log, .. } => {
            let span = Span::real(min, slider, log);
            [typed("number"), slide(span, [label, unit], value, set, disabled)]
        }
        Kind::Bool => {
            let id = id.to_owned();
            let switch = view! {
                <button
                    id=id
                    class="switch"
                    role="switch"
                    aria-checked=words(move || (value.get() == "true").to_string())
                    disabled=flag(move || disabled.get())
                    on:click=press(move |_| set.run((value.get_untracked() != "true").to_string()))
                ></button>
            };
            [switch.into_any(), nothing()]
        }
        Kind::Choice { options } if few(options) => {
            let chips = options.iter().map(|option| {
                let mine = option.id.to_string();
                let own = mine.clone();
                let chosen = Signal::memo(move |_| value.get() == mine);
                view! {
                    <button
                        role="radio"
                        aria-checked=words(move || chosen.get().to_string())
                        tabindex=words(move || if chosen.get() { "0" } else { "-1" }.to_owned())
                        disabled=flag(move || disabled.get())
                        on:click=press(move |_| set.run(own.clone()))
                    >
                        {option.label.to_string()}
                    </button>
                }
            });
            let chips = chips.collect_view();
            let group = view! {
                <div
                    class="chips wide"
                    role="radiogroup"
                    aria-labelledby=format!("{id}-label")
                    aria-describedby=format!("{id}-effect")
                    on:keydown=keyed(|event| keys::choose(&event))
                >
                    {chips}
                </div>
            };
            [nothing(), group.into_any()]
        }
        Kind::Choice { options } => {
            let id = id.to_owned();
            let options = options.iter().map(|option| {
                let mine = option.id.to_string();
                let own = mine.clone();
                view! { <option value=mine selected=flag(move || value.get() == own)>{option.label.to_string()}</option> }
            });
            let options = options.collect_view();
            let select = view! {
                <select
                    id=id
                    class="wide"
                    prop:value=words(move || value.get())
                    disabled=flag(move || disabled.get())
                    on:change=heard(move |event| set.run(event_target_value(&event)))
                >
                    {options}
                </select>
            };
            [nothing(), select.into_any()]
        }
        Kind::Text { .. } | Kind::List { .. } => [typed("text"), nothing()],
    }
}

/// How an empty list is shown, and may be typed.
const NONE: &str = "none";

/// What was typed, as in links.
fn plain(typed: &str) -> String {
    if typed.eq_ignore_ascii_case(NONE) { String::new() } else { typed.to_owned() }
}

/// Whether the choices fit side by side.
fn few(options: &[engine::spec::Choice]) -> bool {
    options.len() <= 5 && options.iter().map(|option| option.label.chars().count() + 3).sum::<usize>() <= 44
}

/// What a slider spans.
#[derive(Clone, Copy)]
struct Span {
    low: f64,
    high: f64,
    log: bool,
    /// Whether the left end stands for 0, on a logarithmic slider.
    zero: bool,
    whole: bool,
}

/// Positions of a slider.
const POSITIONS: f64 = 200.0;

impl Span {
    fn real(min: f64, [low, high]: [f64; 2], log: bool) -> Self {
        Self { low, high, log, zero: min == 0.0, whole: false }
    }

    fn whole(min: u64, [low, high]: [u64; 2], log: bool) -> Self {
        Self { whole: true, ..Self::real(min as f64, [low as f64, high as f64], log) }
    }

    fn position(self, value: f64) -> f64 {
        let share = if self.log {
            if value < self.low {
                return 0.0;
            }
            // The first position is 0's own.
            let first = if self.zero { 1.0 / POSITIONS } else { 0.0 };
            first + (1.0 - first) * (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        (share * POSITIONS).round().clamp(0.0, POSITIONS)
    }

    fn value(self, position: f64) -> f64 {
        let share = position / POSITIONS;
        let value = if self.log {
            if self.zero && position < 0.5 {
                return 0.0;
            }
            let first = if self.zero { 1.0 / POSITIONS } else { 0.0 };
            self.low * pow(self.high / self.low, (share - first) / (1.0 - first))
        } else {
            self.low + share * (self.high - self.low)
        };
        // Rounding leads out of a range whose ends have more digits.
        let value = round(value, self.high - self.low, self.log).max(self.low).min(self.high);
        if self.whole { value.round() } else { value }
    }
}

/// Two significant digits on a logarithmic slider, a two-hundredth of the range on a linear one.
fn round(value: f64, range: f64, log: bool) -> f64 {
    let size = if log { value } else { range / POSITIONS };
    if size <= 0.0 {
        return value;
    }
    let digits = if log { 1 - size.log10().floor() as i32 } else { -size.log10().floor() as i32 };
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

fn slide(
    span: Span,
    [label, unit]: [&str; 2],
    value: Signal<String>,
    set: Callback<String>,
    disabled: Signal<bool>,
) -> AnyView {
    let position = Signal::memo(move |_| number(&value.get()).map_or(0.0, |value| span.position(value)));
    let dragged = RwSignal::new(None::<f64>);
    let shown = move || dragged.get().unwrap_or_else(|| position.get());
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    // The value, not the slider's place.
    let spoken = Signal::memo(move |_| {
        dragged.get().map_or_else(|| value.get(), |position| written(span.value(position))) + &unit
    });
    let text = move || spoken.get();
    let read = |event: &Targeted<web_sys::Event, HtmlInputElement>| event.target().value_as_number();
    view! {
        <input
            class="wide"
            type="range"
            min="0"
            max=decimal::plain(POSITIONS)
            step="1"
            prop:value=shown
            style=("--fill", move || part_of(shown() / POSITIONS))
            aria-label=label.to_owned()
            aria-valuetext=text
            title=text
            disabled=flag(move || disabled.get())
            on:input:target=move |event| dragged.set(Some(read(&event)))
            on:change:target=move |event| {
                dragged.set(None);
                set.run(written(span.value(read(&event))));
            }
        />
    }
    .into_any()
}

/// As in links: plain but for the smallest; a whole number is read in no other way.
fn written(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { decimal::exponent(value, None) } else { decimal::plain(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slider_gives_its_own_values_back() {
        let log = Span { low: 1e-5, high: 10.0, log: true, zero: true, whole: false };
        assert_eq!(log.value(0.0), 0.0);
        assert_eq!(log.value(log.position(10.0)), 10.0);
        assert_eq!(log.position(0.0), 0.0);
        let linear = Span { low: 1.0, high: 12.0, log: false, zero: false, whole: true };
        for value in 1..=12 {
            assert_eq!(linear.value(linear.position(f64::from(value))), f64::from(value));
        }
        let share = Span { low: 0.0, high: 0.9, log: false, zero: true, whole: false };
        assert_eq!(share.value(100.0), 0.45);
    }

    /// Of every control of recipes and sessions.
    #[test]
    fn whatever_a_slider_writes_is_read_back() {
        let recipe = engine::spec::FIELDS.iter().map(|field| (field.path, &field.kind));
        let fewshot = engine::fewshot::SETTINGS.iter().map(|setting| (setting.key, &setting.kind));
        let continual = engine::continual::FIELDS.iter().map(|field| (field.path, &field.kind));
        let strategies = engine::continual::SETTINGS.iter().map(|setting| (setting.id, &setting.kind));
        for (path, kind) in recipe.chain(fewshot).chain(continual).chain(strategies) {
            let span = match *kind {
                Kind::Integer { min, slider, log, .. } => Span::whole(min, slider, log),
                Kind::Number { min, slider, log, .. } => Span::real(min, slider, log),
                _ => continue,
            };
            for position in 0..=POSITIONS as u32 {
                let value = span.value(f64::from(position));
                let read = kind.parse(&written(value)).map(|read| read.as_f64());
                assert_eq!(read, Ok(Some(value)), "{path} at {position}");
            }
        }
    }

    #[test]
    fn no_entries_at_all_can_be_typed() {
        assert_eq!(["none", "None", "64,32", ""].map(plain), ["", "", "64,32", ""]);
    }

    #[test]
    fn small_numbers_are_written_short() {
        assert_eq!(written(0.002), "0.002");
        assert_eq!(written(2e-5), "2e-5");
        assert_eq!(written(64.0), "64");
    }
}
