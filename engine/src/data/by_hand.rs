//! What a person does to the training set by hand: points of the plane that are put elsewhere, examples that are left out.
//! Test examples stay as they are.

use super::{Data, Table, Target, Values};
use crate::spec::{DataSpec, Issue, RunSpec, read_moves, write_moves};

/// Fewer training examples than these are not left.
const LEAST: usize = 2;

impl Data {
    /// Whether its rows are points of a plane, each with a class.
    #[must_use]
    pub fn is_plane(&self) -> bool {
        matches!(&self.values, Values::Table(Table { columns, target: Target::Classes { .. }, .. }) if columns.len() == 2)
    }

    /// This set with points where a hand has put them; none if no point of it was moved.
    #[must_use]
    pub fn moved(&self, spec: &DataSpec) -> Option<Self> {
        let moves = read_moves(&spec.moved).unwrap_or_default();
        if moves.is_empty() || !self.is_plane() {
            return None;
        }
        let mut data = self.clone();
        let start = data.train.start;
        let Values::Table(table) = &mut data.values else { return None };
        for moved in moves.iter().filter(|moved| moved.example < self.train.len() as u64) {
            let place = 2 * (start + moved.example as usize);
            if let Some(point) = table.values.get_mut(place..place + 2) {
                point.copy_from_slice(&moved.to.map(|value| value as f32));
            }
        }
        Some(data)
    }

    /// Rows of the training examples that a hand has left out, ascending.
    #[must_use]
    pub fn left_out(&self, spec: &DataSpec) -> Vec<u32> {
        if !matches!(self.values, Values::Images(_) | Values::Table(_)) || spec.dropped.len() + LEAST > self.train.len()
        {
            return Vec::new();
        }
        let here = spec.dropped.iter().filter(|example| **example < self.train.len() as u64);
        let mut rows: Vec<u32> = here.map(|example| (self.train.start + *example as usize) as u32).collect();
        crate::numeric::sort(&mut rows);
        rows
    }

    /// Mends what was done by hand to other examples than these, in the recipe and in its edits, and says so.
    pub(super) fn mend_by_hand(&self, spec: &mut RunSpec) -> Vec<Issue> {
        let mut issues = Vec::new();
        let mut start = RunSpec { edits: Vec::new(), ..spec.clone() };
        issues.extend(self.mend_changes(&mut start));
        spec.data = start.data;
        for edit in spec.edits.iter_mut().filter(|edit| edit.path.starts_with("data.")) {
            let mut after = RunSpec::default();
            if after.set(&edit.path, &edit.value).is_ok() {
                let wrong = self.mend_changes(&mut after);
                if !wrong.is_empty() {
                    issues.extend(wrong);
                    edit.value = after.get(&edit.path).unwrap_or_default();
                }
            }
        }
        issues
    }

    fn mend_changes(&self, spec: &mut RunSpec) -> Vec<Issue> {
        let all = self.train.len() as u64;
        let mut issues = Vec::new();
        let mut note = |path: &str, message: String, used: String| issues.push(Issue::new(path, message, used));
        let moves = read_moves(&spec.data.moved).unwrap_or_default();
        let mut known = moves.clone();
        known.retain(|moved| self.is_plane() && moved.example < all);
        if known.len() < moves.len() {
            spec.data.moved = write_moves(&known);
            let message = if self.is_plane() {
                format!("There are {all} training points, of which the last is number {}", all.saturating_sub(1))
            } else {
                "Points can be moved where examples are points of a plane, with classes".to_owned()
            };
            note("data.moved", message, spec.data.moved.clone());
        }
        let before = spec.data.dropped.len();
        spec.data.dropped.retain(|example| *example < all);
        let message = if !matches!(self.values, Values::Images(_) | Values::Table(_)) {
            spec.data.dropped.clear();
            "Only pictures and rows can be left out".to_owned()
        } else if spec.data.dropped.len() + LEAST > self.train.len() {
            spec.data.dropped.clear();
            format!("Of {all} training examples at least {LEAST} must be left")
        } else {
            format!("There are {all} training examples, of which the last is number {}", all.saturating_sub(1))
        };
        if spec.data.dropped.len() < before {
            let used = spec.get("data.dropped").unwrap_or_default();
            note("data.dropped", message, used);
        }
        issues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::load;
    use crate::spec::{DataSet, Edit};

    fn spirals() -> (RunSpec, Data) {
        let mut spec = RunSpec::default();
        for (path, value) in [("data", "spirals"), ("data.train", "20"), ("data.test", "5"), ("model", "mlp")] {
            spec.set(path, value).unwrap();
        }
        spec.sanitize();
        let data = load(&spec.data, 1, None).unwrap();
        (spec, data)
    }

    fn points(data: &Data) -> &[f32] {
        let Values::Table(table) = &data.values else { panic!("not a table") };
        &table.values
    }

    #[test]
    fn points_go_where_they_are_put_and_nothing_else_moves() {
        let (mut spec, data) = spirals();
        assert!(data.moved(&spec.data).is_none());
        spec.data.moved = "3:0.5:-1.25,19:0:2,20:9:9".into();
        let moved = data.moved(&spec.data).unwrap();
        for (place, (new, old)) in points(&moved).iter().zip(points(&data)).enumerate() {
            let to = [(6, 0.5), (7, -1.25), (38, 0.0), (39, 2.0)].into_iter().find(|(at, _)| *at == place);
            assert_eq!(*new, to.map_or(*old, |(_, to)| to), "number {place}");
        }
        assert_eq!((moved.labels(), &moved.train), (data.labels(), &data.train));
    }

    #[test]
    fn what_is_not_there_is_mended_and_said() {
        let (mut spec, data) = spirals();
        spec.data.moved = "3:0.5:-1.25,20:9:9".into();
        spec.data.dropped = vec![1, 19, 20];
        let edit = |path: &str, value: &str| Edit { step: 5, path: path.into(), value: value.into() };
        spec.edits = vec![edit("data.moved", "25:1:1"), edit("data.dropped", "1,2,400"), edit("batch.size", "4")];
        let issues = data.mend(&mut spec);
        let paths: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["data.moved", "data.dropped", "data.moved", "data.dropped"]);
        assert_eq!((spec.data.moved.as_str(), &spec.data.dropped), ("3:0.5:-1.25", &vec![1, 19]));
        assert_eq!(spec.edits, [edit("data.moved", ""), edit("data.dropped", "1,2"), edit("batch.size", "4")]);
        assert_eq!(data.mend(&mut spec), []);
        spec.data.dropped = (0..19).collect();
        assert!(data.mend(&mut spec)[0].message.contains("at least 2 must be left"));
        assert!(spec.data.dropped.is_empty());
    }

    #[test]
    fn only_points_of_a_plane_are_moved() {
        let spec = DataSpec { dims: 3, train: 20, test: 5, moved: "3:0.5:1".into(), ..DataSpec::of(DataSet::Mixture) };
        let data = load(&spec, 1, None).unwrap();
        assert!(data.moved(&spec).is_none());
        let mut spec = RunSpec { data: spec, ..RunSpec::default() };
        assert!(data.mend(&mut spec)[0].message.contains("points of a plane"));
        assert_eq!(spec.data.moved, "");
    }
}
