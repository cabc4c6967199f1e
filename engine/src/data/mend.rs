//! What of a recipe only the data themselves can judge.

use super::{Data, Split, Table, Target, Values};
use crate::spec::{Issue, ModelSpec, RunSpec};

impl Data {
    /// Mends what of a recipe does not fit these examples, and says so: a table whose target is a number has no classes to
    /// tell apart, to draw evenly from or to mislabel. Where the held-out part is too short to test on, that is said alone.
    pub fn mend(&self, spec: &mut RunSpec) -> Vec<Issue> {
        let mut issues = Vec::new();
        if let Values::Table(Table { target: Target::Number { name, .. }, .. }) = &self.values {
            issues.extend(spec.without_classes().into_iter().map(|[path, what, used]| {
                Issue::new(path, format!("{what} needs classes, and the target {name:?} is a number"), used)
            }));
        }
        issues.extend(self.mend_by_hand(spec));
        issues.extend(self.untested(spec));
        issues
    }

    /// Says at its control if a window of the model is longer than what is held out.
    fn untested(&self, spec: &RunSpec) -> Option<Issue> {
        let held_out = self.range(Split::Test).len();
        let (path, span, message) = match (&self.values, &spec.model) {
            (Values::Text(_), ModelSpec::Gpt(gpt)) => (
                "model.context",
                gpt.context + 1,
                format!("The {held_out} characters held out are too few for a context of {}", gpt.context),
            ),
            (Values::Series(_), _) => (
                "data.window",
                spec.data.window + spec.data.horizon,
                format!(
                    "The {held_out} time steps held out are too few for a window of {} and a horizon of {}",
                    spec.data.window, spec.data.horizon
                ),
            ),
            _ => return None,
        };
        let none = self.examples(Split::Test, span).is_empty();
        none.then(|| Issue::new(path, format!("{message}: nothing is left to test on"), ""))
    }
}

#[cfg(test)]
mod tests {
    use crate::data::{Data, Info, Scaling, Series, Table, Target, Text, Values};
    use crate::spec::{Content, DataSet, RunSpec};

    fn table(target: Target) -> Data {
        let table = Table { columns: vec!["x".into()], values: vec![0.0; 4], scaling: vec![Scaling::IDENTITY], target };
        Data { info: Info::default(), values: Values::Table(table), train: 0..3, test: 3..4 }
    }

    fn recipe(settings: &[(&str, &str)]) -> RunSpec {
        let mut spec = RunSpec::default();
        spec.data.set = DataSet::Own;
        spec.data.content = Content::Table;
        spec.sanitize();
        for (path, value) in settings {
            spec.set(path, value).unwrap();
        }
        assert_eq!(spec.validate(), []);
        spec
    }

    #[test]
    fn a_number_to_predict_has_no_classes() {
        let number = table(Target::Number { name: "price".into(), values: vec![0.0; 4], scaling: Scaling::IDENTITY });
        let classes = table(Target::Classes { labels: vec![0, 1, 0, 1], names: vec!["a".into(), "b".into()] });
        let mut spec = recipe(&[("data.label_noise", "0.2"), ("batch.sampler", "balanced")]);
        assert_eq!(classes.mend(&mut spec.clone()), []);
        let mended = number.mend(&mut spec);
        let paths: Vec<&str> = mended.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["objective", "batch.sampler", "data.label_noise"]);
        assert_eq!(mended[2].message, "Label noise needs classes, and the target \"price\" is a number");
        assert_eq!(spec, recipe(&[("objective", "mse")]));
        assert_eq!(number.mend(&mut spec), []);
    }

    #[test]
    fn a_held_out_part_that_is_too_short_is_said() {
        let text = |length: usize| Data {
            info: Info::default(),
            values: Values::Text(Text { tokens: vec![0; length], vocabulary: vec!['a'] }),
            train: 0..length - 150,
            test: length - 150..length,
        };
        let mut spec = RunSpec::default();
        for (path, value) in [("data", "shakespeare"), ("model", "gpt"), ("model.context", "150")] {
            spec.set(path, value).unwrap();
        }
        spec.sanitize();
        let before = spec.clone();
        let issues = text(1000).mend(&mut spec);
        assert_eq!((issues.len(), issues[0].path.as_str(), issues[0].used.as_str()), (1, "model.context", ""));
        assert!(issues[0].message.contains("150 characters held out are too few for a context of 150"));
        // Said, and nothing changed: the run trains all the same.
        assert_eq!(spec, before);
        spec.set("model.context", "149").unwrap();
        assert_eq!(text(1000).mend(&mut spec), []);
        let series = Series {
            columns: vec!["x".into()],
            values: vec![0.0; 100],
            scaling: vec![Scaling::IDENTITY],
            target: 0,
            interval: String::new(),
        };
        let series = Data { info: Info::default(), values: Values::Series(series), train: 0..41, test: 41..100 };
        let mut spec = RunSpec::default();
        spec.set("data", "weather").unwrap();
        spec.sanitize();
        assert_eq!(series.mend(&mut spec)[0].path, "data.window");
        spec.set("data.window", "47").unwrap();
        assert_eq!(series.mend(&mut spec), []);
    }
}
