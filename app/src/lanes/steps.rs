//! The steps at which the lanes are drawn: every one of a short run, and of a long one as many as a screen can tell apart,
//! so that a lane costs the same whatever the length of the run.

/// Most stretches that an axis is cut into: more than a lane has pixels on most screens.
const STRETCHES: u64 = 1200;

/// An x axis over the steps, cut into stretches of one step or more, within each of which a line is drawn as its least
/// and its greatest value.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps {
    /// First steps of the stretches, ascending. The last is the axis' last step, by itself.
    starts: Vec<u64>,
}

impl Steps {
    /// The steps from `first` to `last`, the stretches equally wide on the axis, which may be logarithmic: then step 0
    /// has no place on it.
    pub fn new([first, last]: [u64; 2], log: bool) -> Self {
        let first = if log { first.max(1) } else { first }.min(last);
        let count = last - first;
        let growth = libm::pow(last.max(1) as f64 / first.max(1) as f64, 1.0 / STRETCHES as f64) - 1.0;
        let mut starts = Vec::new();
        let mut at = first;
        while at < last {
            starts.push(at);
            // Two steps in a stretch are still drawn as they are.
            let width = match log {
                _ if count <= 2 * STRETCHES => 1,
                true => (at as f64 * growth) as u64,
                false => count.div_ceil(STRETCHES),
            };
            at = at.saturating_add(width.max(1));
        }
        starts.push(last);
        Self { starts }
    }

    /// Stretches, as their first steps and the first steps after them.
    fn stretches(&self) -> impl Iterator<Item = [u64; 2]> {
        let end = self.starts.last().map(|last| last.saturating_add(1));
        let ends = self.starts.iter().copied().skip(1).chain(end);
        self.starts.iter().copied().zip(ends).map(|(from, to)| [from, to])
    }

    /// The places of [`Self::column`] on the axis: one for each stretch of a single step, two for each other.
    pub fn places(&self) -> Vec<f64> {
        let of = |[from, to]: [u64; 2]| {
            let middle = (to - from >= 2).then_some(from + (to - from) / 2);
            [Some(from), middle].into_iter().flatten().map(|step| step as f64)
        };
        self.stretches().flat_map(of).collect()
    }

    /// What a line shows at [`Self::places`]: of its values `within` each stretch, by ascending step, the least and the
    /// greatest in the order in which they came; NaN where there is none.
    pub fn column<V: Iterator<Item = f64>>(&self, within: impl Fn([u64; 2]) -> V) -> Vec<f64> {
        let mut column = Vec::new();
        for [from, to] in self.stretches() {
            let (mut count, mut rises) = (0_u32, true);
            let [mut least, mut greatest] = [f64::INFINITY, f64::NEG_INFINITY];
            for value in within([from, to]).filter(|value| value.is_finite()) {
                count += 1;
                if value < least {
                    (least, rises) = (value, false);
                }
                if value > greatest {
                    (greatest, rises) = (value, true);
                }
            }
            let [early, late] = if rises { [least, greatest] } else { [greatest, least] };
            column.push(if count > 0 { early } else { f64::NAN });
            if to - from >= 2 {
                column.push(if count > 1 { late } else { f64::NAN });
            }
        }
        column
    }

    /// Steps at which a plan is drawn: where a stretch begins, and at each change also the step before it.
    pub fn with(&self, changes: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let [Some(first), Some(last)] = [self.starts.first(), self.starts.last()] else { return Vec::new() };
        let changes = changes.into_iter().flat_map(|at| [at.saturating_sub(1), at]);
        let mut steps = self.starts.clone();
        for step in changes.filter(|step| (first..=last).contains(&step)) {
            if let Err(place) = steps.binary_search(&step) {
                steps.insert(place, step);
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The column of a line with a value at each step from 0 on.
    fn column(steps: &Steps, values: &[f64]) -> Vec<f64> {
        let end = values.len() as u64;
        steps.column(|stretch| values[stretch[0].min(end) as usize..stretch[1].min(end) as usize].iter().copied())
    }

    #[test]
    fn a_short_run_is_drawn_step_by_step() {
        let steps = Steps::new([0, 2000], false);
        let values: Vec<f64> = (0..=2000).map(|step| f64::from(step * 7919 % 2003)).collect();
        assert_eq!(steps.places(), (0..=2000).map(f64::from).collect::<Vec<f64>>());
        assert_eq!(column(&steps, &values), values);
    }

    #[test]
    fn a_run_of_any_length_takes_as_many_places_as_a_screen_shows() {
        for last in [0, 1, 2401, 200_000, 1_000_000_000, u64::MAX] {
            for log in [false, true] {
                let places = Steps::new([0, last], log).places();
                assert!(places.len() <= 2 * STRETCHES as usize + 1, "{last} takes {}", places.len());
                assert!(places.is_sorted_by(|a, b| a < b), "{last}, {log}");
                assert_eq!(places[0], if log { last.min(1) } else { 0 } as f64);
                assert_eq!(places[places.len() - 1], last as f64);
            }
        }
    }

    #[test]
    fn a_spike_in_a_long_run_is_drawn_at_its_height() {
        let spikes = [(123_456, 9.0), (123_457, -3.0)];
        let value = |step: u64| spikes.iter().find(|(at, _)| *at == step).map_or(1.0, |(_, value)| *value);
        for log in [false, true] {
            let steps = Steps::new([0, 1_000_000], log);
            let column = column(&steps, &(0..200_000).map(value).collect::<Vec<f64>>());
            let places = steps.places();
            assert_eq!(places.len(), column.len());
            let near = |wanted: f64| {
                let place = column.iter().position(|value| *value == wanted).unwrap();
                assert!((places[place] - 123_456.0).abs() < 2000.0, "{wanted} is drawn at {}", places[place]);
                place
            };
            assert_eq!(near(-3.0), near(9.0) + 1);
            // Up to the last value, and not further than the stretch that holds it.
            assert!(column.iter().zip(&places).all(|(value, place)| match place {
                ..195_000.0 => value.is_finite(),
                205_000.0.. => value.is_nan(),
                _ => true,
            }));
        }
    }

    #[test]
    fn only_what_is_shown_is_drawn() {
        let values: Vec<f64> = (0..10_000).map(f64::from).collect();
        assert_eq!(column(&Steps::new([500, 510], false), &values), values[500..=510]);
        // A lone value in a wide stretch is a point; what falls is drawn falling.
        let steps = Steps::new([0, 12_000], false);
        assert_eq!(column(&steps, &[7.0]).iter().filter(|value| value.is_finite()).count(), 1);
        assert_eq!(column(&steps, &[3.0, 5.0, 1.0, f64::NAN])[..2], [5.0, 1.0]);
    }

    #[test]
    fn a_plan_has_a_corner_at_each_change() {
        let steps = Steps::new([0, 1_000_000_000], false);
        let drawn = steps.with([0, 5, 77_777_777, 2_000_000_000]);
        assert!(drawn.is_sorted_by(|a, b| a < b));
        assert!([0, 4, 5, 77_777_776, 77_777_777, 1_000_000_000].iter().all(|step| drawn.contains(step)));
        assert!(drawn.len() <= STRETCHES as usize + 6);
    }
}
