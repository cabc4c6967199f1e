//! The points of the curve that a hand can move: where they stand, and which controls dragging them turns.

use super::clock::Clock;
use super::drawn::{MAX_POINTS, read_points, through, write_points};
use super::{Auto, Between, ScheduleSpec, Shape};
use crate::spec::EffectiveSchedule;
use crate::spec::control::three_digits;

/// What a point moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grip {
    /// One-cycle: the first learning rate.
    Start,
    /// The end of the warm-up and the peak; once the run has passed it, the height of what is still to come.
    Peak,
    /// Infinite: the end of the cool-down and the plateau.
    Plateau,
    /// Step: the next drop. Restarts: the next start.
    Period,
    /// WSD, Power and infinite: the start of the decay.
    Decay,
    /// The learning rate at the end.
    End,
    /// A point drawn by hand, counted from 0.
    Point(usize),
}

/// Points that a curve is traced with, at most.
const TRACED: usize = 60;

impl Grip {
    const fn point(self) -> Option<usize> {
        match self {
            Self::Point(i) => Some(i),
            _ => None,
        }
    }

    /// What it moves, in words.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Start => "Start of the rise",
            Self::Peak => "Peak and warm-up",
            Self::Plateau => "Plateau and cool-down",
            Self::Period => "Next period",
            Self::Decay => "Start of the decay",
            Self::End => "Learning rate at the end",
            Self::Point(_) => "Point of the curve: + adds one, Delete removes it",
        }
    }

    /// A number of its own.
    #[must_use]
    pub const fn number(self) -> usize {
        match self {
            Self::Start => 0,
            Self::Peak => 1,
            Self::Plateau => 2,
            Self::Period => 3,
            Self::Decay => 4,
            Self::End => 5,
            Self::Point(i) => 6 + i,
        }
    }
}

/// A point of the curve that can be dragged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Handle {
    /// What it moves.
    pub grip: Grip,
    /// Update at which it stands.
    pub step: u64,
    /// Learning rate at which it stands.
    pub lr: f64,
    /// Whether it moves anything that is still to come.
    pub free: bool,
}

/// Controls and their new values, written as in a link.
pub type Turns = Vec<(&'static str, String)>;

/// The part of the run that a shape fills around an update, under the recipe in force at the end of all edits.
struct Cycle<'a> {
    schedule: &'a EffectiveSchedule,
    shape: &'a ScheduleSpec,
    /// Its first update.
    from: u64,
    /// Its updates, and how many cycles there were before.
    length: u64,
    count: u64,
    /// Its last update within the run.
    last: u64,
    /// The next update of the run.
    now: u64,
}

impl<'a> Cycle<'a> {
    fn of(schedule: &'a EffectiveSchedule, now: u64) -> Self {
        let spec = schedule.at(u64::MAX);
        let shape = &spec.schedule;
        let Clock { length, cycle: count, start: from, .. } = Clock::of(shape, &schedule.planned(spec, now));
        let last = from.saturating_add(length).min(spec.steps).saturating_sub(1);
        Self { schedule, shape, from, length, count, last, now }
    }

    /// The update at a step of the shape's clock, within the run.
    fn at(&self, step: u64) -> u64 {
        self.from.saturating_add(step).min(self.last)
    }

    /// The learning rate of an update under a shape, as the batch planned for it scales it.
    fn lr(&self, shape: &ScheduleSpec, step: u64) -> f64 {
        let spec = self.schedule.at(u64::MAX);
        shape.lr_at(&self.schedule.planned(spec, step)) * self.scale(step)
    }

    fn scale(&self, step: u64) -> f64 {
        self.schedule.scale(step, self.schedule.batch(step))
    }

    fn warm(&self) -> u64 {
        self.at(if self.shape.kind == Shape::Infinite && self.count > 0 { 0 } else { self.shape.warmup })
    }

    /// First step of the shape's clock at which its decay can start.
    fn earliest_decay(&self) -> u64 {
        if self.shape.kind == Shape::Infinite && self.count > 0 { 0 } else { self.shape.earliest_decay() }
    }

    /// Start of the decay on the shape's clock.
    fn decay(&self) -> u64 {
        self.length.saturating_sub(self.shape.decay).max(self.earliest_decay())
    }

    /// Updates done since the end of the warm-up; the next one, though at a boundary, is still to come.
    fn done(&self) -> u64 {
        self.now.saturating_sub(self.from).saturating_sub(self.shape.warmup).saturating_sub(1)
    }

    /// Periods from the end of the warm-up to the last boundary that is passed, and to the next.
    fn periods(&self) -> [u64; 2] {
        let ScheduleSpec { kind, period, multiplier, .. } = *self.shape;
        let since = self.done() / period.max(1);
        if kind == Shape::Step || multiplier < 2 {
            return [since, since + 1];
        }
        let mut periods = [0, 1_u64];
        while periods[1] <= since {
            periods = [periods[1], periods[1].saturating_mul(multiplier).saturating_add(1)];
        }
        periods
    }

    fn handles(&self) -> Vec<Handle> {
        let ScheduleSpec { kind, warmup, cooldown, period, decay, .. } = *self.shape;
        let mut handles = Vec::new();
        let mut add = |grip, step: u64, lr: f64, free| handles.push(Handle { grip, step, lr, free });
        if kind == Shape::Drawn {
            for (i, (step, lr)) in read_points(&self.shape.points).unwrap_or_default().into_iter().enumerate() {
                let step = self.from.saturating_add(step);
                if step <= self.last {
                    add(Grip::Point(i), step, lr * self.scale(step), step >= self.now);
                }
            }
            return handles;
        }
        let mut place = |grip, step: u64, free| add(grip, step, self.lr(self.shape, step), free);
        let ahead = |step: u64| step >= self.now;
        if kind == Shape::OneCycle && warmup > 0 && ahead(self.from) {
            place(Grip::Start, self.from, true);
        }
        let peak = self.warm().max(self.now.min(self.last));
        place(Grip::Peak, peak, ahead(peak) && (self.warm() >= self.now || self.lr(self.shape, peak) > 0.0));
        let cooled = self.from.saturating_add(warmup).saturating_add(cooldown);
        if kind == Shape::Infinite && self.count == 0 && cooled <= self.last && ahead(cooled) {
            place(Grip::Plateau, cooled, true);
        }
        if matches!(kind, Shape::Step | Shape::Restarts) {
            let ahead = self.periods()[1].saturating_mul(period);
            let step = self.from.saturating_add(warmup).saturating_add(ahead);
            if step <= self.last {
                place(Grip::Period, step, true);
            }
        }
        let decays = matches!(kind, Shape::Wsd | Shape::Power | Shape::Infinite);
        if decays {
            let start = self.at(self.decay());
            place(Grip::Decay, start, ahead(start));
        }
        let falls =
            matches!(kind, Shape::Cosine | Shape::Linear | Shape::Exponential | Shape::Polynomial | Shape::OneCycle);
        // A span that is longer than the run has its end elsewhere.
        if (decays || falls) && self.last + 1 == self.from.saturating_add(self.length) {
            place(Grip::End, self.last, ahead(self.last) && (falls || decay > 0));
        }
        handles
    }

    fn dragged(&self, handle: &Handle, step: u64, lr: f64) -> Turns {
        let shape = self.shape;
        // What is done is done.
        let step = match handle.grip {
            Grip::Start | Grip::End => handle.step,
            _ => step.clamp(self.now.min(self.last), self.last),
        };
        let top = shape.peak * self.scale(step);
        let share = |of: f64| if of > 0.0 { (lr / of).clamp(0.0, 1.0) } else { 0.0 };
        let since = |start: u64| step.saturating_sub(start);
        match handle.grip {
            Grip::Start => vec![("schedule.start", three_digits(share(top)))],
            Grip::Peak => {
                let mut moved = ScheduleSpec { ..shape.clone() };
                let mut turns = Turns::new();
                let mut at = handle.step;
                if self.warm() >= self.now && !(shape.kind == Shape::Infinite && self.count > 0) {
                    moved.warmup = since(self.from);
                    at = step;
                    turns.push(("schedule.warmup", moved.warmup.to_string()));
                }
                if shape.kind == Shape::Power {
                    // The law is moved; its cap only gives way.
                    moved.peak = f64::MAX;
                    let law = self.lr(&moved, at);
                    if law > 0.0 {
                        turns.push(("schedule.gain", three_digits(shape.gain * lr / law)));
                    }
                    if lr > shape.peak {
                        turns.push(("schedule.peak", three_digits(lr)));
                    }
                } else {
                    moved.peak = 1.0;
                    let height = self.lr(&moved, at);
                    if height > 0.0 {
                        turns.push(("schedule.peak", three_digits(lr / height)));
                    }
                }
                turns
            }
            Grip::Plateau => {
                let cooldown = since(self.from.saturating_add(shape.warmup));
                vec![("schedule.cooldown", cooldown.to_string()), ("schedule.plateau", three_digits(share(top)))]
            }
            Grip::Period => {
                let [passed, next] = self.periods();
                let since = since(self.from.saturating_add(shape.warmup)).max(self.done() + 1);
                let period = (since as f64 / next as f64).round() as u64;
                // Boundaries that are passed stay so, and the next one ahead.
                let most = self.done().checked_div(passed).unwrap_or(u64::MAX);
                let period = period.clamp((self.done() / next + 1).min(most), most).max(1);
                let mut turns = vec![("schedule.period", period.to_string())];
                if shape.kind == Shape::Step {
                    turns.push(("schedule.factor", three_digits(libm::pow(share(top), 1.0 / next as f64))));
                }
                turns
            }
            Grip::Decay => {
                let start = since(self.from).max(self.earliest_decay());
                vec![("schedule.decay", self.length.saturating_sub(start).to_string())]
            }
            Grip::End => {
                let of = if shape.kind == Shape::Power { self.lr(shape, self.at(self.decay())) } else { top };
                vec![("schedule.floor", three_digits(share(of)))]
            }
            Grip::Point(i) => {
                let mut points = read_points(&shape.points).unwrap_or_default();
                let bound = |neighbour: Option<&(u64, f64)>, else_: u64| neighbour.map_or(else_, |(step, _)| *step);
                let least = bound(i.checked_sub(1).and_then(|i| points.get(i)), 0) + u64::from(i > 0);
                let most = bound(points.get(i + 1), u64::MAX).saturating_sub(1);
                if let Some(point) = points.get_mut(i) {
                    *point = (since(self.from).max(least).min(most), lr / self.scale(step));
                }
                vec![("schedule.points", write_points(&points))]
            }
        }
    }
}

impl EffectiveSchedule {
    /// The points of the curve that can be dragged when `now` updates are done.
    #[must_use]
    pub fn handles(&self, now: u64) -> Vec<Handle> {
        Cycle::of(self, now).handles()
    }

    /// The controls that dragging a point to update `step` and learning rate `lr` turns. Times are those of the recipe in
    /// force at the end of all edits.
    #[must_use]
    pub fn dragged(&self, now: u64, handle: &Handle, step: u64, lr: f64) -> Turns {
        Cycle::of(self, now).dragged(handle, step, lr.max(0.0))
    }

    /// The controls that turn the learning rate to `lr` when `now` updates are done: the peak that is still to come, once
    /// the run has passed it the height of what is; of a schedule drawn by hand the highest of what is still to come, and
    /// all points with it. The curvature no longer sets it then. None where what is to come is 0 throughout.
    #[must_use]
    pub fn raised(&self, now: u64, lr: f64) -> Turns {
        let handles = self.handles(now);
        let ScheduleSpec { auto, points, .. } = &self.at(u64::MAX).schedule;
        let mut turns = match handles.iter().find(|handle| handle.grip == Grip::Peak) {
            Some(peak) if peak.free => self.dragged(now, peak, peak.step, lr),
            Some(_) => Turns::new(),
            None => {
                let ahead = handles.iter().filter(|handle| handle.free).map(|handle| handle.lr);
                let top = ahead.fold(self.lr(now), f64::max);
                let mut points = read_points(points).unwrap_or_default();
                points.iter_mut().for_each(|(_, height)| *height *= lr / top);
                if top > 0.0 && !points.is_empty() {
                    vec![("schedule.points", write_points(&points))]
                } else {
                    Turns::new()
                }
            }
        };
        if !turns.is_empty() && *auto != Auto::Off {
            turns.insert(0, ("schedule.auto", Auto::Off.id().to_owned()));
        }
        turns
    }

    /// One more point drawn by hand, between this and the next.
    #[must_use]
    pub fn added(&self, handle: &Handle) -> Turns {
        let ScheduleSpec { points, .. } = &self.at(u64::MAX).schedule;
        let mut points = read_points(points).unwrap_or_default();
        let Some((i, &(step, lr))) = handle.grip.point().and_then(|i| Some((i, points.get(i)?))) else {
            return Turns::new();
        };
        let last = self.steps().saturating_sub(1);
        let (next, value) = points.get(i + 1).copied().unwrap_or((last.max(step), lr));
        let between = step + (next - step) / 2;
        if between > step && points.len() < MAX_POINTS {
            points.insert(i + 1, (between, 0.5 * (lr + value)));
        }
        vec![("schedule.points", write_points(&points))]
    }

    /// This point drawn by hand less; the last one stays.
    #[must_use]
    pub fn removed(&self, handle: &Handle) -> Turns {
        let ScheduleSpec { points, .. } = &self.at(u64::MAX).schedule;
        let mut points = read_points(points).unwrap_or_default();
        match handle.grip.point() {
            Some(i) if i < points.len() && points.len() > 1 => points.remove(i),
            _ => return Turns::new(),
        };
        vec![("schedule.points", write_points(&points))]
    }

    /// The curve as a hand would draw it: few points, added where a line through those before is furthest off.
    #[must_use]
    pub fn traced(&self) -> Turns {
        let last = self.steps().saturating_sub(1);
        let stride = (last / 400).max(1) as usize;
        let at = |step: u64| (step, self.lr(step) / self.scale(step, self.batch(step)));
        let curve: Vec<(u64, f64)> = (0..last).step_by(stride).chain([last]).map(at).collect();
        let top = curve.iter().fold(0.0, |top: f64, (_, lr)| lr.max(top));
        let mut points = vec![curve[0], at(last)];
        points.dedup();
        while points.len() < TRACED {
            let off = |&&(step, lr): &&(u64, f64)| (lr - through(&points, step, Between::Linear)).abs();
            let furthest = curve.iter().max_by(|a, b| off(a).total_cmp(&off(b)));
            let Some(&point) = furthest.filter(|point| off(point) > 0.01 * top) else { break };
            points.insert(points.partition_point(|(step, _)| *step < point.0), point);
        }
        let turn = |path, value: &str| (path, value.to_owned());
        vec![
            ("schedule.points", write_points(&points)),
            turn("schedule.between", Between::Linear.id()),
            // The points hold the warm-up, and count from the run's first step.
            turn("schedule.warmup", "0"),
            turn("schedule.origin", "0"),
            turn("schedule.span", "0"),
            turn("schedule.repeat", "false"),
        ]
    }
}

#[cfg(test)]
mod tests;
