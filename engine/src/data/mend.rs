//! What of a recipe only the data themselves can judge.

use super::{Data, Table, Target, Values};
use crate::spec::{Issue, Loss, RunSpec, Sampling};

impl Data {
    /// Mends what of a recipe does not fit these examples, and says so: a table whose target is a number has no classes to
    /// tell apart, to draw evenly from or to mislabel.
    pub fn mend(&self, spec: &mut RunSpec) -> Vec<Issue> {
        let Values::Table(Table { target: Target::Number { name, .. }, .. }) = &self.values else { return Vec::new() };
        let mut issues = Vec::new();
        let mut note = |path: &str, what: &str, used: &str| {
            let message = format!("{what} needs classes, and the target {name:?} is a number");
            issues.push(Issue::new(path, message, used));
        };
        if spec.objective.kind != Loss::Mse {
            spec.objective.kind = Loss::Mse;
            note("objective", "Cross-entropy", Loss::Mse.id());
        }
        if spec.batch.sampler == Sampling::Balanced {
            spec.batch.sampler = Sampling::Shuffled;
            note("batch.sampler", "Drawing evenly from classes", Sampling::Shuffled.id());
        }
        if spec.data.label_noise != 0.0 {
            spec.data.label_noise = 0.0;
            note("data.label_noise", "Label noise", "0");
        }
        issues
    }
}

#[cfg(test)]
mod tests {
    use crate::data::{Data, Info, Scaling, Table, Target, Values};
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
}
