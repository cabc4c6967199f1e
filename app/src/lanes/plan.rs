//! What the lanes of the plan, learning rate and batch size, have in common: points that a hand drags, and the recipe as
//! it would be if the hand let go.

use engine::figure::Figure;
use engine::spec::{RunSpec, Turns};
use leptos::prelude::*;

use super::{share_cursor, share_zoom};
use crate::figure::chart::{ChartRef, LineChart, Lines};
use crate::figure::frame::{Caption, FigureFrame, LogAxes};
use crate::reactive::{RwSignal, Signal};
use crate::state::{Lab, Run};

/// Controls that a hand is turning on a lane.
#[derive(Clone, Copy)]
pub struct Draft {
    lab: Lab,
    turns: RwSignal<Turns>,
    /// Whether a hand holds a point: the axis beneath it then stands still.
    pub held: RwSignal<bool>,
}

impl Draft {
    /// None yet.
    pub fn new(lab: Lab) -> Self {
        Self { lab, turns: RwSignal::new(Turns::new()), held: RwSignal::new(false) }
    }

    /// The y axis: as `reckoned`, and while a hand holds a point as it was when the hand took it.
    pub fn axis(self, reckoned: impl Fn() -> [f64; 2] + Send + Sync + 'static) -> Signal<[f64; 2]> {
        Signal::memo(move |last: Option<&[f64; 2]>| match last {
            Some(last) if self.held.get() => *last,
            _ => reckoned(),
        })
    }

    /// Turns them to these values, for now.
    pub fn turn(self, turns: Turns) {
        self.turns.set(turns);
    }

    /// The update from which on they count.
    pub fn first_step(self) -> u64 {
        if self.lab.current(Run::begun).unwrap_or(false) { self.lab.step() } else { 0 }
    }

    /// The recipe with them: in mid-run as edits of the next step, else as the recipe itself.
    pub fn recipe(self) -> RunSpec {
        let mut spec = self.lab.spec.get();
        let begun = self.lab.current(Run::begun).unwrap_or(false);
        for (path, value) in self.turns.get() {
            // A value out of range is refused when it is set for good.
            let _ = if begun { spec.record(self.lab.step(), path, &value).map(|_| ()) } else { spec.set(path, &value) };
        }
        spec
    }

    /// The hand lets go: the values are set for good.
    pub fn keep(self) {
        for (path, value) in self.turns.get_untracked() {
            self.lab.set(path, &value);
        }
        self.turns.set(Turns::new());
    }
}

/// A lane with points to drag.
#[component]
pub fn PlanLane(
    id: &'static str,
    caption: Signal<Caption>,
    /// Whether its axes are logarithmic.
    log: RwSignal<[bool; 2]>,
    lines: Signal<Lines>,
    export: Callback<(), Figure>,
    chart: ChartRef,
    /// Counts drawings.
    layout: RwSignal<u32>,
    /// The points, laid over the chart.
    children: ChildrenFn,
) -> impl IntoView {
    let lab = Lab::of();
    view! {
        <FigureFrame id class="lane" caption log=LogAxes { on: log, offered: Signal::stored([true, true]) } export>
            <div class="plot stack">
                <LineChart
                    lines
                    chart
                    cursor=share_cursor(lab)
                    zoom=share_zoom(lab)
                    layout=Callback::new(move |()| layout.update(|n| *n = n.wrapping_add(1)))
                    playhead=Signal::derive(move || lab.step() as f64)
                />
                {children()}
            </div>
        </FigureFrame>
    }
    .into_any()
}
