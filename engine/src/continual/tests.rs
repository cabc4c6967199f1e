use super::*;
use crate::spec::{Kind, Link};

fn read(text: &str) -> (ContinualSpec, Vec<String>) {
    let (spec, issues) = ContinualSpec::read(&Link::parse(text));
    (spec, issues.into_iter().map(|issue| issue.message).collect())
}

fn sound(text: &str) -> ContinualSpec {
    let (spec, issues) = read(text);
    assert_eq!(issues, Vec::<String>::new(), "{text}");
    spec
}

#[test]
fn a_link_carries_the_whole_session() {
    let spec = sound(
        "#continual?stream=permuted-mnist&tasks=3&strategies=fine-tuning,replay:memory=500,fine-tuning/400/ewc:lambda=50&memory=200&rate=0.05",
    );
    assert_eq!((spec.stream, spec.scenario, spec.tasks), (StreamKind::PermutedMnist, Scenario::Domain, 3));
    let [plain, replay, forked] = &spec.arms[..] else { panic!("three arms") };
    assert_eq!(spec.value(plain.at(0), "memory"), 200.0);
    assert_eq!(spec.value(replay.at(0), "memory"), 500.0);
    assert_eq!((forked.at(399).strategy, forked.at(400).strategy), (Strategy::FineTuning, Strategy::Ewc));
    assert_eq!(spec.value(forked.at(1000), "lambda"), 50.0);
    assert_eq!(forked.label(), "Fine-tuning, from 400 on EWC (EWC λ 50)");
    let link = spec.link().fragment();
    assert!(
        link.starts_with("#continual?stream=permuted-mnist&tasks=3&rate=0.05&strategies=fine-tuning,replay:memory="),
        "{link}"
    );
    assert_eq!(sound(&link), spec);
}

#[test]
fn presets_and_every_choice_survive_a_link() {
    for preset in PRESETS {
        let spec = preset.spec();
        assert_eq!(sound(&spec.link().fragment()), spec, "{}", preset.id);
        assert!(!spec.arms.is_empty());
    }
    let choices = FIELDS.iter().filter_map(|field| match &field.kind {
        Kind::Choice { options } => Some((field.path, options)),
        _ => None,
    });
    for (path, options) in choices {
        for option in options.iter() {
            let spec = read(&format!("#continual?{path}={}", option.id)).0;
            assert_eq!(sound(&spec.link().fragment()), spec, "{path}={}", option.id);
        }
    }
}

#[test]
fn a_cct_brings_widths_of_its_own() {
    let cct = sound("#continual?network=cct");
    assert_eq!(cct.hidden, [32, 32]);
    assert_eq!(cct.link().fragment(), format!("#continual?network=cct&v={}", crate::spec::LINK_VERSION));
    assert_eq!(sound("#continual?hidden=48,48,48&network=cct").hidden, [48; 3]);
    let mut turned = cct;
    turned.set("network", "convnet").unwrap();
    assert_eq!(turned.hidden, ContinualSpec::default().hidden);
    let told = sound("#continual?network=convnet&hidden=8,16");
    assert_eq!(sound(&told.link().fragment()), told);
}

#[test]
fn every_field_reads_what_it_writes() {
    let spec = ContinualSpec::default();
    for field in FIELDS {
        let value = spec.get(field.path).unwrap();
        let mut turned = spec.clone();
        turned.set(field.path, &value).unwrap_or_else(|problem| panic!("{}: {problem}", field.path));
        assert_eq!(turned, spec, "{}", field.path);
    }
}

#[test]
fn the_table_of_strategies_is_whole() {
    assert!(STRATEGIES.iter().map(|row| row.strategy).eq(Strategy::ALL.iter().copied()));
    for row in STRATEGIES {
        assert!(row.line.line().len() > 20 && row.paper.is_empty() == row.source.is_empty(), "{:?}", row.strategy);
        assert!(row.settings.iter().all(|id| setting(id).is_some()));
        assert_eq!(row.keeps_examples, row.strategy.has("memory"));
    }
    for setting in SETTINGS {
        assert!(STRATEGIES.iter().any(|row| row.strategy.has(setting.id)), "{} is read by nobody", setting.id);
        assert!(field(setting.id).is_none());
        setting.kind.parse(&setting.default.to_string()).unwrap();
    }
}

#[test]
fn what_is_wrong_is_said_with_a_default_in_its_place() {
    let four = ContinualSpec::default().arms;
    for (text, said) in [
        ("strategies=fine-tuning,hope", "There is no strategy “hope”"),
        ("strategies=hope", "The usual four run"),
        ("strategies=replay:size=3", "Replay has no “size”"),
        ("strategies=replay/10", "names no strategy after the change"),
        ("strategies=replay/0/ewc", "no later update"),
        ("strategies=replay,replay", "once counts"),
        ("memory=0", "“memory” must be a whole number from 1 to"),
        ("tasks=11", "11 tasks are more than the 10 classes"),
        ("tasks=0", "must be a whole number from 1 to"),
        ("stream=split-moon", "must be one of"),
        ("stream=permuted-mnist&scenario=class", "it is domain-incremental"),
        ("stream=sets&tasks=5", "Three data sets are three tasks"),
        ("network=convnet&hidden=", "A convnet needs pictures and channels"),
        ("network=cct&hidden=", "A CCT needs pictures and blocks"),
        ("network=cct&stream=own-time", "an MLP learns"),
        ("network=cct&hidden=32,48", "of one width: the first counts"),
        ("stream=permuted-mnist&strategies=icarl", "iCaRL works on class-incremental streams alone"),
        ("preset=none", "There is no preset"),
        ("speed=3", "has no “speed”"),
        ("seed=1&seed=2", "given twice"),
    ] {
        let (spec, issues) = read(&format!("#continual?{text}"));
        assert!(issues.iter().any(|issue| issue.to_lowercase().contains(&said.to_lowercase())), "{text}: {issues:?}");
        assert!(!spec.arms.is_empty() && spec.tasks >= 1, "{text}");
        assert_eq!(sound(&spec.link().fragment()), spec, "{text}");
        if text == "strategies=hope" {
            assert_eq!(spec.arms, four);
        }
    }
    let many = ["replay:memory=1", "si", "ewc", "lwf", "joint", "a-gem", "gdumb"].join(",");
    let (spec, issues) = read(&format!("#continual?strategies={many}"));
    assert!(spec.arms.len() == MAX_STARTED && issues[0].contains("At most 6"));
}

#[test]
fn a_fork_leaves_the_past_alone() {
    let spec = sound("#continual?strategies=fine-tuning,replay/500/si");
    let forked = spec.forked(1, 200, "ewc").unwrap();
    assert_eq!(forked.arms[2].text(), "replay/200/ewc");
    assert_eq!(spec.forked(1, 700, "ewc").unwrap().arms[2].text(), "replay/500/si/700/ewc");
    assert_eq!(spec.forked(0, 0, "si").unwrap().arms[2].text(), "si");
    assert_eq!(sound(&forked.link().fragment()), forked);
    assert!(spec.forked(7, 1, "si").is_err() && spec.forked(0, 1, "hope").is_err());
    let mut full = spec;
    while full.arms.len() < MAX_ARMS {
        full = full.forked(0, full.arms.len() as u64, "lwf").unwrap();
    }
    assert_eq!(sound(&full.link().fragment()), full);
    assert!(full.forked(0, 1, "si").is_err());
}

/// Two tasks of 10 updates: the first falls from 0.9 to 0.4 right after its border, and ends at 0.7.
#[test]
fn a_record_is_read_as_by_hand() {
    let mut record = Record { borders: vec![10, 20], ..Record::default() };
    let say = |update, accuracy: &[f32]| Reading { update, accuracy: accuracy.to_vec(), sharpness: None };
    for reading in
        [say(0, &[0.125, 0.25]), say(5, &[0.75, 0.0]), say(10, &[0.875, 0.5]), say(11, &[0.375]), say(12, &[0.5])]
    {
        record.push(reading);
    }
    assert_eq!(record.rows(), [[0.875, 0.5]]);
    assert!(record.summary().acc.is_nan());
    record.push(say(20, &[0.625, 0.75]));
    record.push(say(20, &[0.625]));
    let summary = record.summary();
    assert_eq!((summary.acc, summary.bwt, summary.fwt, summary.forgetting), (0.6875, -0.25, 0.25, 0.25));
    assert_eq!((summary.gap, summary.worst_case), (0.5, 0.5 * 0.75 + 0.5 * 0.625));
    assert_eq!(summary.anytime, (0.75 + 0.875 + 0.6875) / 3.0);
    record.rewind(11);
    assert_eq!(record.readings.len(), 4);
    record.push(say(11, &[0.25]));
    assert_eq!(record.readings[3].accuracy, [0.25]);
}
