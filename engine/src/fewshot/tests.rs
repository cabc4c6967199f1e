use super::*;
use crate::figure::{Mark, Role};
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
    assert_eq!(said[2], ("ways", "“ways” must be a whole number from 2 to 200, not “1”"));
    assert_eq!(said[3], ("shots", "“shots” must be a whole number from 1 to 50, not “x”"));
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
    let own = FewshotSpec { data: Source::Own, method: Method::Prototype, ..FewshotSpec::default() };
    assert!(!applies("lambda", &own) && !applies("compare", &own) && applies("alarm", &own));
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
        let json = serde_json::to_string(&Command::from(command.clone())).unwrap();
        let Command::Fewshot(back) = crate::tree::parse(&json).unwrap() else { panic!("{json}") };
        assert_eq!(back.open().unwrap(), command);
    }
    let score = Score {
        method: Method::Tim,
        accuracy: Mean { mean: 0.9, half: 0.01 },
        difference: Mean { mean: 0.0, half: f64::NAN },
        p: f64::NAN,
        milliseconds: 1.0,
    };
    let scores = Scores { tasks: 1, of: 2, methods: vec![score], ..Scores::default() };
    let json = serde_json::to_string(&Event::from(FewshotEvent::Scores(scores))).unwrap();
    assert!(json.contains(r#""difference":{"half":null,"mean":0.0}"#), "{json}");
    let Event::Fewshot(back) = crate::tree::parse(&json).unwrap() else { panic!("{json}") };
    let FewshotEvent::Scores(back) = back.open().unwrap() else { panic!("{json}") };
    assert!(back.methods[0].p.is_nan() && back.of == 2);
}

#[test]
fn training_goes_on_where_it_was() {
    let part = |first: usize, loss: &[f32]| Training { first, loss: loss.to_vec(), ..Training::default() };
    let mut all = Training::default();
    all.take(Training { validation: vec![(2, Mean { mean: 0.5, half: 0.1 })], ..part(0, &[3.0, 2.0]) });
    all.take(Training { speed: f64::NAN, ..part(2, &[1.0]) });
    // What is told twice counts once.
    all.take(Training { validation: vec![(2, Mean { mean: 0.6, half: 0.1 })], ..part(2, &[1.5, 1.0]) });
    assert_eq!((all.loss.as_slice(), all.updates(), all.validation.len()), (&[3.0, 2.0, 1.5, 1.0][..], 4, 1));
    let [accuracy, loss, _] = all.figures();
    let Mark::Line { points, band, .. } = &accuracy.marks[1] else { panic!() };
    assert!((points[0][1] - 60.0).abs() < 1e-9 && (band[0][0] - 50.0).abs() < 1e-9);
    assert_eq!(loss.value, "1 · 0 updates/s");
    all.take(part(0, &[9.0]));
    assert_eq!((all.updates(), all.validation.len()), (1, 0));
    assert!(Training::default().figures().iter().all(|figure| figure.marks.is_empty()));
}

#[test]
fn the_map_follows_the_iterations() {
    let walk = |x: f32, predicted: &[usize]| Walk {
        prototypes: vec![[x, 0.0], [1.0, x]],
        predicted: predicted.to_vec(),
        accuracy: Some(0.5),
        energy: None,
    };
    let class = |name: &str| SeenClass { name: name.into(), more: 0 };
    let query = Query { truth: Some(0), predicted: 1, probabilities: vec![], distances: vec![], nearest: 0 };
    let task = TaskSeen {
        number: 0,
        method: Method::SlkMs,
        classes: vec![class("a"), class("b")],
        pictures: Gallery { width: 1, height: 1, channels: 1, count: 4, pixels: Blob(0) },
        support: vec![0, 1],
        queries: vec![query.clone(), query],
        accuracy: Some(0.5),
        points: vec![[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]],
        explained: 0.75,
        walk: vec![walk(0.0, &[0, 0]), walk(0.5, &[0, 1])],
        milliseconds: 1.0,
    };
    let parts = |step: usize| {
        let figure = task.map(step);
        let stars = figure.marks.iter().find_map(|mark| match mark {
            Mark::Stars { points } => Some(points.clone()),
            _ => None,
        });
        let Mark::Scatter { points, classes, .. } = &figure.marks[1] else { panic!() };
        assert_eq!(points[..], [[2.0, 2.0], [3.0, 3.0]]);
        (stars.unwrap(), classes.clone(), figure.marks.iter().filter(|mark| matches!(mark, Mark::Line { .. })).count())
    };
    assert_eq!(parts(0), (vec![[0.0, 0.0], [1.0, 0.0]], vec![0, 0], 0));
    assert_eq!(parts(1), (vec![[0.5, 0.0], [1.0, 0.5]], vec![0, 1], 2));
    // A method that takes fewer iterations than the one before: its last.
    assert_eq!(parts(9), parts(1));
}

#[test]
fn every_method_is_drawn_once_with_its_interval() {
    let score = |method, mean| Score {
        method,
        accuracy: Mean { mean, half: 0.01 },
        difference: Mean { mean: mean - 0.8, half: 0.02 },
        p: 0.0004,
        milliseconds: 1.0,
    };
    let methods = vec![score(Method::Prototype, 0.8), score(Method::SlkMs, 0.9)];
    let scores = Scores { tasks: 3, of: 10, methods, ..Scores::default() };
    let [accuracy, difference] = scores.figures(Method::SlkMs);
    assert_eq!(accuracy.value, "3 of 10 tasks");
    let told = |figure: &crate::figure::Figure| {
        let drawn = figure.marks.iter().filter_map(|mark| match mark {
            Mark::Intervals { role, means, ranges } => Some((*role, means.clone(), ranges.clone())),
            _ => None,
        });
        drawn
            .flat_map(|(role, means, ranges)| {
                let finite = means.into_iter().zip(ranges).filter(|(mean, _)| mean.is_finite());
                finite
                    .map(move |(mean, [low, high])| (role, mean.round(), low.round(), high.round()))
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&accuracy), [(Role::Other, 80.0, 79.0, 81.0), (Role::Train, 90.0, 89.0, 91.0)]);
    assert_eq!(told(&difference), [(Role::Train, 10.0, 8.0, 12.0)]);
    assert!(difference.to_csv().contains("< 0.001"), "{}", difference.to_csv());
}

#[test]
fn pictures_that_are_not_there_are_no_tiles() {
    let gallery = Gallery { width: 2, height: 1, channels: 1, count: 2, pixels: Blob(0) };
    assert_eq!(gallery.tile(&[1, 2, 3, 4], 1, String::new()).unwrap().pixels, [3, 4]);
    assert!(gallery.tile(&[1, 2, 3], 1, String::new()).is_none());
    assert!(gallery.tile(&[1, 2, 3, 4], usize::MAX, String::new()).is_none());
}
