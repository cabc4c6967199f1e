use super::*;
use crate::protocol::{Blob, Command, Event};
use crate::spec::{Link, Page};

#[test]
fn every_method_has_its_row_and_every_field_its_setting() {
    assert_eq!(METHODS.len(), Method::ALL.len());
    for (row, method) in METHODS.iter().zip(Method::ALL) {
        assert_eq!(row.method, *method);
        assert!(row.settings.iter().all(|key| setting(key).is_some_and(|setting| setting.group == "method")));
    }
    let spec = serde_json::to_value(FewshotSpec::default()).unwrap();
    let mut keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    keys.sort_unstable();
    assert_eq!(spec.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
}

#[test]
fn every_preset_comes_back_from_its_link() {
    for preset in FEWSHOT_PRESETS {
        let link = FewshotLink::to_preset(preset.id);
        let (back, issues) = read(&Link::parse(&link.link().fragment()));
        assert_eq!((back, issues), (link, vec![]), "{}", preset.id);
    }
}

#[test]
fn what_differs_from_the_preset_is_in_the_link() {
    let mut link = FewshotLink::to_preset("live");
    link.spec.set("ways", "20").unwrap();
    link.spec.set("compare", "prototype,tim, tim").unwrap();
    link.spec.set("alpha", "2.5").unwrap();
    let text = link.link().fragment();
    assert_eq!(text, "#fewshot?preset=live&ways=20&alpha=2.5&compare=prototype,tim&v=2");
    let parsed = Link::parse(&text);
    assert_eq!(parsed.page, Page::Fewshot);
    assert_eq!(read(&parsed), (link, vec![]));
}

#[test]
fn each_fault_of_a_link_is_said_with_a_default_in_place() {
    let text = "#fewshot?ways=1&shots=x&method=slk&compare=tim,none&fly=1&seed=2&seed=3&preset=no&clamp=maybe";
    let (read, issues) = read(&Link::parse(text));
    let said: Vec<(&str, &str)> = issues.iter().map(|issue| (issue.path.as_str(), issue.message.as_str())).collect();
    assert_eq!(said[0], ("seed", "“seed” is given twice; the last counts"));
    assert_eq!(said[1], ("preset", "There is no preset “no”"));
    assert_eq!(said[2], ("ways", "“ways” must be at least 2"));
    assert_eq!(said[3], ("shots", "“shots” must be a whole number, not “x”"));
    assert!(said[4].1.starts_with("“method” must be one of prototype, cosine"), "{:?}", said[4]);
    assert_eq!(said[5], ("compare", "“compared” has no method “none”"));
    assert_eq!(said[6], ("clamp", "“support stays” must be true or false, not “maybe”"));
    assert_eq!(said[7], ("fly", "The few-shot lab has no “fly”"));
    assert_eq!((said.len(), read.spec), (8, FewshotSpec { seed: 3, ..FewshotSpec::default() }));
}

#[test]
fn rules_between_settings_are_kept_and_said() {
    for (text, path) in [
        ("#fewshot?ways=200&shots=50&queries=100", "queries"),
        ("#fewshot?data=own&embedding=cosine", "embedding"),
        ("#fewshot?data=emoji", "embedding"),
    ] {
        let (read, issues) = read(&Link::parse(text));
        assert_eq!(issues.iter().map(|issue| issue.path.as_str()).collect::<Vec<_>>(), [path], "{text}");
        assert_eq!(read.spec.clone().mend(), []);
        assert!(read.spec.ways * (read.spec.shots + read.spec.queries) <= 4000);
    }
}

#[test]
fn settings_show_where_they_count() {
    let applies = |key: &str, spec: &FewshotSpec| setting(key).unwrap().applies(spec);
    let plain = FewshotSpec { compare: vec![Method::Prototype], method: Method::Prototype, ..FewshotSpec::default() };
    assert!(!applies("lambda", &plain) && !applies("rate", &plain) && !applies("support_style", &plain));
    let other = FewshotSpec { method: Method::SlkMeans, embedding: Embedding::Linear, ..plain };
    assert!(applies("lambda", &other) && applies("rate", &other) && !applies("episode_ways", &other));
}

#[test]
fn messages_come_back_from_json() {
    let raw = Raw { width: 2, height: 1, channels: 3, pixels: Blob(0) };
    for command in [
        FewshotCommand::Open { spec: Box::default() },
        FewshotCommand::Train,
        FewshotCommand::AddShot { place: 2, picture: Some(raw.clone()) },
        FewshotCommand::Curve { over: Over::Shots },
        FewshotCommand::Own(OwnCommand::Predict { id: 3, picture: raw }),
    ] {
        let json = serde_json::to_string(&Command::Fewshot(command.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Command>(&json).unwrap(), Command::Fewshot(command));
    }
    let score = Score {
        method: Method::Tim,
        accuracy: Mean { mean: 0.9, half: 0.01 },
        difference: Mean { mean: 0.0, half: f64::NAN },
        p: f64::NAN,
        milliseconds: 1.0,
    };
    let scores = Scores { tasks: 1, of: 2, methods: vec![score], ..Scores::default() };
    let json = serde_json::to_string(&Event::Fewshot(FewshotEvent::Scores(scores))).unwrap();
    assert!(
        json.contains(r#"{"method":"tim","accuracy":{"mean":0.9,"half":0.01},"difference":{"mean":0,"half":null}"#)
            || json.contains(r#""difference":{"mean":0.0,"half":null}"#),
        "{json}"
    );
    let Event::Fewshot(FewshotEvent::Scores(back)) = serde_json::from_str(&json).unwrap() else { panic!("{json}") };
    assert!(back.methods[0].p.is_nan() && back.of == 2);
}
