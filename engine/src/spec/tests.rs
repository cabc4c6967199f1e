//! The spec as a whole: table, codec and validation against each other.

use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;

use super::*;

/// Paths of all leaves of a spec's JSON, kinds under their group's name.
fn leaves(spec: &RunSpec) -> BTreeSet<String> {
    fn walk(path: &str, value: &Value, into: &mut BTreeSet<String>) {
        match value.as_object() {
            None => {
                into.insert(path.to_owned());
            }
            Some(entries) => {
                for (key, value) in entries {
                    let path = match (path, key.as_str()) {
                        ("", key) => key.to_owned(),
                        (group, "kind" | "set") => group.to_owned(),
                        (group, key) => format!("{group}.{key}"),
                    };
                    walk(&path, value, into);
                }
            }
        }
    }
    let mut paths = BTreeSet::new();
    walk("", &fields::tree(spec), &mut paths);
    paths.remove("edits");
    paths
}

/// A value of the control that depends on `pick` alone; now and then one that it does not take.
fn value(kind: &Kind, pick: u64) -> String {
    let fraction = (pick >> 11) as f64 / (1_u64 << 53) as f64;
    let whole = |min: u64, max: u64| (min + pick % (max - min).max(1)).to_string();
    match kind {
        Kind::Integer { slider: [min, max], .. } if !pick.is_multiple_of(3) => whole(*min, *max),
        Kind::Integer { min, max, .. } => whole(*min, *max),
        Kind::Number { min, max, .. } if pick.is_multiple_of(3) => (min + fraction * (max - min)).to_string(),
        Kind::Number { max, .. } => format!("{:e}", max * 10_f64.powf(-12.0 * fraction)),
        Kind::Choice { options } => options[(pick % options.len() as u64) as usize].id.to_string(),
        Kind::Bool => (pick % 2 == 1).to_string(),
        Kind::Text { .. } => ["", "täble, a&b=c #1.csv", "100% +x", "a"][(pick % 4) as usize].to_owned(),
        Kind::List { max, .. } => {
            let entries: Vec<String> = (0..pick % 6).map(|i| (1 + (pick >> i) % max).to_string()).collect();
            entries.join(",")
        }
    }
}

prop_compose! {
    /// A spec that is fit to run: a preset with some controls turned and some edits, mended.
    fn specs()(
        start in 0..PRESETS.len(),
        turns in prop::collection::vec((0..FIELDS.len(), any::<u64>()), 0..30),
        edits in prop::collection::vec((0..FIELDS.len(), any::<u64>(), 0..700_u64), 0..4),
    ) -> (usize, RunSpec) {
        let mut spec = PRESETS[start].spec();
        for (i, pick) in turns {
            // Values that do not fit are refused, which is fine here.
            spec.set(FIELDS[i].path, &value(&FIELDS[i].kind, pick)).ok();
        }
        for (i, pick, step) in edits {
            spec.edits.push(Edit { step, path: FIELDS[i].path.into(), value: value(&FIELDS[i].kind, pick) });
        }
        spec.sanitize();
        (start, spec)
    }
}

#[test]
fn a_link_carries_a_task_and_that_it_is_embedded_on_every_page() {
    for route in ["#lab?preset=mlp", "#fewshot?ways=5", "#study/15?kernel=3", "#continual?tasks=3"] {
        let link =
            Link { task: "Find λ₁ = 2/η, 100% of it".into(), embed: true, present: true, ..Link::parse(route) };
        let read = Link::parse(&link.fragment());
        assert_eq!(read, link, "{}", link.fragment());
        assert!(!read.settings.iter().any(|(key, _)| ["task", "embed", "present"].contains(&key.as_str())));
    }
    let long = Link::parse(&format!("#lab?task={}", "λ".repeat(MAX_TASK)));
    assert!(long.task.len() <= MAX_TASK && long.issues.iter().any(|issue| issue.path == "task"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_mended_spec_needs_no_mending((_, spec) in specs()) {
        prop_assert_eq!(spec.validate(), []);
    }

    #[test]
    fn links_give_back_the_spec((start, spec) in specs()) {
        let link = Link { spec, hide: vec!["model.depth".into(), "probes".into()], ..Link::to_preset(&PRESETS[start]) };
        let text = link.fragment();
        prop_assert_eq!(&Link::parse(&text), &link);
        prop_assert_eq!(Link::parse(&format!("https://lab.example/sub/{text}")).fragment(), text);
    }

    #[test]
    fn links_of_every_version_give_back_the_spec((start, spec) in specs(), version in 1..=LINK_VERSION) {
        let link = Link { spec, version, ..Link::to_preset(&PRESETS[start]) };
        prop_assert_eq!(Link::parse(&link.fragment()), link);
    }

    #[test]
    fn links_carry_what_was_done_by_hand(
        moves in prop::collection::btree_map(0..300_u64, [-3.0..3.0, -3.0..3.0], 0..8),
        dropped in prop::collection::vec(0..300_u64, 0..20),
        step in 0..600_u64,
    ) {
        let moves: Vec<Moved> = moves.into_iter().map(|(example, to)| Moved { example, to }).collect();
        let numbers: Vec<String> = dropped.iter().map(u64::to_string).collect();
        let mut spec = RunSpec::default();
        for (path, value) in [("data", "spirals"), ("model", "mlp"), ("data.moved", &write_moves(&moves))] {
            spec.set(path, value).unwrap();
        }
        spec.sanitize();
        spec.record(step, "data.dropped", &numbers.join(",")).unwrap();
        spec.record(step, "data.moved", "").unwrap();
        prop_assert_eq!(spec.validate(), []);
        let link = Link { spec, ..Link::default() };
        let read = Link::parse(&link.fragment());
        prop_assert_eq!(&read.issues, &[]);
        prop_assert!(!link.fragment().contains('%'), "{}", link.fragment());
        prop_assert_eq!(read.spec, link.spec);
    }

    #[test]
    fn json_gives_back_the_spec((_, spec) in specs()) {
        let json = serde_json::to_string_pretty(&spec).unwrap();
        prop_assert_eq!(&crate::tree::parse::<RunSpec>(&json).unwrap(), &spec);
        let link = Link::parse(&json);
        prop_assert_eq!(link.issues, []);
        prop_assert_eq!(link.spec, spec);
    }

    #[test]
    fn differences_are_what_links_say((_, a) in specs(), (_, b) in specs()) {
        prop_assert_eq!(diff(&a, &a), []);
        for version in 1..=LINK_VERSION {
            let mut rebuilt = a.clone();
            for (path, value) in names::changes(&a, &b, version) {
                rebuilt.set_as_of(version, path, &value).unwrap();
            }
            rebuilt.edits.clone_from(&b.edits);
            prop_assert_eq!(&rebuilt, &b);
        }
    }

    #[test]
    fn links_that_were_damaged_are_read((start, spec) in specs(), cut in any::<prop::sample::Index>(), put in ".{0,3}") {
        let text = Link { spec, ..Link::to_preset(&PRESETS[start]) }.fragment();
        let at = cut.index(text.len());
        prop_assert_eq!(Link::parse(&text[..at]).spec.validate(), []);
        prop_assert_eq!(Link::parse(&format!("{}{put}{}", &text[..at], &text[at + 1..])).spec.validate(), []);
    }
}

/// Pieces that links are made of, among pieces that they are not.
fn pieces() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..FIELDS.len(), any::<u64>()).prop_map(|(i, pick)| format!(
            "&{}={}",
            FIELDS[i].path,
            value(&FIELDS[(i + (pick % 2) as usize) % FIELDS.len()].kind, pick)
        )),
        prop::sample::select(vec![
            "#lab?",
            "#",
            "?",
            "&",
            "=",
            "%",
            "%4",
            "%ff",
            "{",
            "}",
            "[1,2]",
            "\"seed\":",
            "{\"model\":{\"kind\":",
            "edit=",
            "&edit=1:batch.size=2",
            "hide=",
            "v=1",
            "v=99",
            "preset=",
            "gpt",
            "study/15?",
            "study/x",
            "://",
            "-1",
            "1e999",
            "NaN",
            "0",
            "18446744073709551616",
            "batch.size=",
            "model=",
            ".",
            ",",
            ":",
            "\u{0}",
            "\n",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    #[test]
    fn any_text_is_read_without_a_panic(pieces in prop::collection::vec(pieces(), 0..12)) {
        let link = Link::parse(&pieces.concat());
        prop_assert!(link.issues.len() <= 21);
        // Whatever the text, what comes of it can be written, and read back without complaint.
        let again = Link::parse(&link.fragment());
        prop_assert_eq!(&again.spec, &link.spec);
        prop_assert_eq!(again.page, link.page);
    }
}

#[test]
fn the_table_covers_every_field_of_every_model() {
    for choice in ModelSpec::KINDS {
        let mut spec = RunSpec::default();
        spec.set("model", &choice.id).unwrap();
        assert_eq!(spec.model.kind(), choice.id);
        let table: Vec<&str> = FIELDS.iter().filter(|field| field.exists(&spec)).map(|field| field.path).collect();
        let unique: BTreeSet<String> = table.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(table.len(), unique.len(), "one control a field");
        assert_eq!(unique, leaves(&spec));
        // Conditions name controls that exist, and values that these take.
        for (path, values) in FIELDS.iter().flat_map(|field| field.when) {
            if *path == "setting" {
                let some = |setting: &&str| Rule::ALL.iter().any(|rule| rule.has(setting));
                assert!(values.iter().all(some), "no rule has {values:?}");
                continue;
            }
            let kind = if matches!(*path, "content" | "raw") {
                &Kind::choice(Content::CHOICES)
            } else {
                &FIELDS.iter().find(|field| field.path == *path).unwrap().kind
            };
            for value in *values {
                assert!(kind.parse(value).is_ok(), "{path} is never {value}");
            }
        }
    }
    for (owner, (path, value, line)) in
        FIELDS.iter().flat_map(|field| field.instead.iter().map(move |line| (field, line)))
    {
        let mut spec = RunSpec::default();
        if let Some(model) = owner.of.first() {
            spec.set("model", model).unwrap();
        }
        spec.set(path, value).unwrap();
        assert!(FIELDS.iter().any(|field| field.effect(&spec) == *line), "{path}={value}: {line:?}");
    }
}

#[test]
fn each_rule_has_its_own_controls() {
    let shown = |rule: &str| -> Vec<&str> {
        let mut spec = RunSpec::default();
        spec.set("optimizer", rule).unwrap();
        let own = ["momentum", "beta1", "beta2", "eps", "trust", "largest_norm", "decay"];
        own.into_iter().filter(|name| field(&spec, &format!("optimizer.{name}")).unwrap().applies(&spec)).collect()
    };
    assert_eq!(shown("sgd"), ["decay"]);
    assert_eq!(shown("nesterov"), ["momentum", "decay"]);
    assert_eq!(shown("lars"), ["momentum", "trust"]);
    assert_eq!(shown("lamb"), ["beta1", "beta2", "eps", "largest_norm"]);
    assert_eq!(shown("adamw"), ["beta1", "beta2", "eps"]);
    assert_eq!(shown("lion"), ["beta1", "beta2"]);
    assert_eq!(shown("muon"), ["momentum", "beta1", "beta2", "eps"]);
}

/// Numbers of papers and libraries: torch 2 for SGD, RMSProp, Adam, AdamW and AdaGrad; Chen et al. 2023 for Lion; Jordan
/// 2024 and Liu et al. 2025 for Muon; optax for LARS.
#[test]
fn a_rule_comes_with_its_usual_numbers() {
    for (rule, numbers) in [
        ("sgd", &[("weight_decay", "0"), ("decay", "coupled")][..]),
        ("momentum", &[("momentum", "0.9"), ("weight_decay", "0")]),
        ("lars", &[("momentum", "0.9"), ("weight_decay", "0"), ("trust", "0.001")]),
        ("adagrad", &[("eps", "1e-10"), ("weight_decay", "0"), ("decay", "coupled")]),
        ("rmsprop", &[("beta2", "0.99"), ("eps", "1e-8"), ("weight_decay", "0")]),
        ("adam", &[("beta1", "0.9"), ("beta2", "0.999"), ("eps", "1e-8"), ("weight_decay", "0")]),
        ("adamw", &[("beta2", "0.999"), ("weight_decay", "0.01")]),
        ("lamb", &[("eps", "1e-6"), ("weight_decay", "0.01")]),
        ("lion", &[("beta1", "0.9"), ("beta2", "0.99")]),
        ("muon", &[("momentum", "0.95"), ("weight_decay", "0.1")]),
    ] {
        let link = Link::parse(&format!("#lab?preset=on-the-fly&optimizer.clip=2&schedule.auto=off&optimizer={rule}"));
        for (name, number) in numbers {
            assert_eq!(link.spec.get(&format!("optimizer.{name}")).as_deref(), Some(*number), "{rule}: {name}");
        }
        assert_eq!(link.spec.optimizer.clip, 2.0);
        // The rule alone says all that.
        let plain = Link::parse(&format!("#lab?optimizer={rule}"));
        assert!(!plain.fragment().contains("optimizer."), "{}", plain.fragment());
    }
    // Chosen again, a rule keeps what was set.
    let mut spec = Link::parse("#lab?optimizer=lion&optimizer.beta2=0.95").spec;
    spec.set("optimizer", "lion").unwrap();
    assert_eq!(spec.optimizer.beta2, 0.95);
}

#[test]
fn links_of_version_1_keep_their_meaning() {
    let old = Link::parse("#lab?optimizer=rmsprop&v=1");
    let numbers = &old.spec.optimizer;
    assert_eq!((numbers.beta2, numbers.weight_decay, numbers.decay), (0.999, 0.01, DecayKind::Decoupled));
    let new = old.clone().renewed();
    assert!(new.fragment().contains("optimizer=rmsprop&optimizer.beta2=0.999&optimizer.weight_decay=0.01"));
    assert_eq!(Link::parse(&new.fragment()).spec, old.spec);
    let lion = Link::parse("#lab?preset=gpt&optimizer=lion&optimizer.beta1=0.8&v=1").spec.optimizer;
    assert_eq!((lion.beta1, lion.beta2, lion.weight_decay), (0.8, 0.999, 0.01));
}

#[test]
fn settings_of_rules_are_controls() {
    let spec = RunSpec::default();
    for rule in Rule::ALL {
        assert_eq!(rule.row().usual.kind, *rule);
        for setting in rule.row().settings {
            assert!(field(&spec, &format!("optimizer.{setting}")).is_some(), "{rule:?}: {setting}");
        }
    }
}

/// A batch norm makes nothing of one example, whichever way a batch comes to be that small.
#[test]
fn a_norm_over_the_batch_refuses_batches_of_one() {
    for model in ["preset=mlp&model.norm=batch", "preset=convnet"] {
        for (settings, at) in [
            ("batch.size=1", "batch.size"),
            ("data.train=1", "data.train"),
            ("batch.micro=1", "batch.micro"),
            ("batch.size=7&batch.micro=6", "batch.micro"),
            ("batch.policy=stepped&batch.size=1", "batch.size"),
            ("batch.policy=ramp&batch.size=8&batch.micro=2", "batch.micro"),
            ("edit=3:batch.size=1", "batch.size"),
        ] {
            let link = Link::parse(&format!("#lab?{model}&{settings}"));
            assert!(link.issues.iter().any(|issue| issue.path == at), "{model}&{settings}: {:?}", link.issues);
            assert_eq!(link.spec.validate(), [], "{model}&{settings}");
            assert!(link.spec.batch.size != 1 && link.spec.batch.micro != 1);
        }
    }
    assert_eq!(Link::parse("#lab?preset=mlp&batch.size=1").issues, []);
    // Policies that compare single gradients want two as well, also where there is one to train on.
    let adaptive = Link::parse("#lab?data.train=1&batch.policy=inner_product");
    assert_eq!((adaptive.spec.data.train, adaptive.spec.batch.size, adaptive.spec.validate()), (2, 2, vec![]));
}

#[test]
fn choices_are_written_as_in_json() {
    for set in DataSet::ALL {
        assert_eq!(serde_json::to_value(set).unwrap(), set.id());
        assert_eq!(DataSet::CHOICES[*set as usize].id, set.id());
        assert_eq!(DataSet::from_id(set.id()), Some(*set));
    }
    assert_eq!(DataSet::from_id("no such set"), None);
}

#[test]
fn presets_are_fit_to_run_and_have_short_links() {
    for preset in PRESETS {
        let link = Link::to_preset(preset);
        assert_eq!(link.spec.validate(), [], "{}", preset.id);
        assert_eq!(link.fragment(), format!("#lab?preset={}&v={LINK_VERSION}", preset.id));
    }
    assert_eq!(PRESETS[0].spec(), RunSpec::default());
    assert_eq!(super::preset("default").unwrap().id, PRESETS[0].id);
}

#[test]
fn links_are_readable_and_canonical() {
    let text = "https://x.org/lab/#lab?seed=7&schedule.peak=2e-2&optimizer=momentum&model.depth=3&model=vit\
                &edit=120:batch.size=256&hide=optimizer,model.depth&v=1";
    let link = Link::parse(text);
    assert_eq!(link.issues, []);
    assert_eq!(
        link.fragment(),
        "#lab?preset=cct-mnist&model=vit&model.depth=3&optimizer=momentum&schedule.peak=0.02&seed=7\
         &edit=120:batch.size=256&hide=optimizer,model.depth&v=1"
    );
}

#[test]
fn other_pages_keep_their_settings() {
    let link = Link::parse("#study/15?kernel=5&seeds=3&v=1");
    assert_eq!(link.page, Page::Study(15));
    assert_eq!(link.settings, [("kernel".into(), "5".into()), ("seeds".into(), "3".into())]);
    assert_eq!(link.fragment(), "#study/15?kernel=5&seeds=3&v=1");
    for (text, page) in [
        ("#studies", Page::Studies),
        ("#bench", Page::Bench),
        ("#lesson", Page::Lesson),
        ("", Page::Lab),
        ("#/lab/", Page::Lab),
    ] {
        let link = Link::parse(text);
        assert_eq!((link.page, link.issues), (page, vec![]), "{text}");
    }
    assert_eq!(Link::to_page(Page::Bench, vec![]).fragment(), "#bench");
}

/// The issues of a link, as (path, value used).
fn complaints(text: &str) -> Vec<(String, String)> {
    let issues = Link::parse(text).issues;
    assert!(issues.iter().all(|issue| !issue.message.is_empty()));
    issues.into_iter().map(|issue| (issue.path, issue.used)).collect()
}

#[test]
fn what_is_wrong_is_said_at_its_control_and_the_default_used() {
    for (text, path, used) in [
        ("#lab?nonsense=1&v=1", "nonsense", ""),
        ("#lab?model.depth=two", "model.depth", "2"),
        ("#lab?model.depth=1000", "model.depth", "2"),
        ("#lab?schedule.peak=NaN", "schedule.peak", "0.002"),
        ("#lab?schedule.peak=-1", "schedule.peak", "0.002"),
        ("#lab?seed=9007199254740992", "seed", "1"),
        ("#lab?model=cnn", "model", "cct"),
        ("#lab?model.hidden=5", "model.hidden", ""),
        ("#lab?v=3", "v", ""),
        ("#lab?seed=1&seed=2", "seed", ""),
        ("#lab?preset=none", "preset", "cct-mnist"),
        ("#lab?seed", "seed", ""),
        ("#lab?data.file=%E4", "", ""),
        ("#lab?data.file=%4", "", ""),
        ("#elsewhere", "", ""),
        ("#lab?model.heads=3", "model.heads", "2"),
        ("#lab?model=vit&model.patch=5", "model.patch", "4"),
        ("#lab?batch.micro=48", "batch.micro", "32"),
        ("#lab?data.train=50", "batch.size", "50"),
        ("#lab?batch.size=1&batch.policy=norm_test", "batch.size", "2"),
        ("#lab?preset=convnet&batch.policy=norm_test", "batch.policy", "fixed"),
        ("#lab?schedule.auto=rate", "schedule.auto", "off"),
        ("#lab?preset=mlp&optimizer=nesterov&schedule.auto=both", "schedule.auto", "off"),
        ("#lab?preset=tanh-mlp&optimizer.rho=0.05&schedule.auto=rate", "schedule.auto", "off"),
        ("#lab?preset=tanh-mlp&optimizer.trained=output&schedule.auto=rate", "schedule.auto", "off"),
        ("#lab?preset=tanh-mlp&optimizer.trained=norms", "optimizer.trained", "all"),
        ("#lab?preset=convnet&model.ghost=1", "model.ghost", "2"),
        ("#lab?preset=tanh-mlp&schedule.auto=maybe", "schedule.auto", "off"),
        ("#lab?preset=tanh-mlp&schedule.auto=rate&schedule.damping=-1", "schedule.damping", "0.3"),
        ("#lab?data=shakespeare", "model", "gpt"),
        ("#lab?preset=gpt&objective=mse", "objective", "cross_entropy"),
        ("#lab?preset=convnet&model.kernel=4", "model.kernel", "5"),
        ("#lab?preset=convnet&data=digits&model.channels=8,8,8,8", "model.channels", "8,8,8"),
        ("#lab?data=digits&data.size=14", "data.size", "0"),
        ("#lab?edit=12", "edit", ""),
        ("{\"steps\": \"many\"}", "steps", "600"),
        ("{\"steps\": ", "", ""),
    ] {
        let complaints = complaints(text);
        assert_eq!(complaints, [(path.to_owned(), used.to_owned())], "{text}");
        assert_eq!(Link::parse(text).spec.validate(), [], "{text}");
    }
}

#[test]
fn long_links_are_refused_whole() {
    let text = format!("#lab?seed=7&data.file={}", "x".repeat(1 << 20));
    let link = Link::parse(&text);
    assert_eq!(link.spec, RunSpec::default());
    assert_eq!(link.issues.len(), 1);
    let many = format!("#lab?{}", "x=1&".repeat(10_000));
    assert!(Link::parse(&many).issues.len() <= 21);
}

#[test]
fn parts_of_a_spec_are_json_too() {
    let link = Link::parse(
        r#"{"preset": "mlp", "model": {"hidden": [8, 4]}, "data": "spirals", "batch.size": 8, "optimizer": {"kind": "sgd"},
            "edits": [{"step": 3, "path": "batch.size", "value": "16"}]}"#,
    );
    assert_eq!(link.issues, []);
    assert_eq!(
        link.fragment(),
        "#lab?preset=mlp&data=spirals&model.hidden=8,4&optimizer=sgd&batch.size=8&edit=3:batch.size=16&v=2"
    );
    // What is of something else is said of the whole.
    let of_whole = |text: &str| Link::parse(text).issues.iter().any(|issue| issue.path.is_empty());
    for text in ["{}", r#"{"name": "x"}"#, r#"{"model": {}, "data": {"rows": [1, 2]}}"#] {
        assert!(of_whole(text), "{text}");
    }
    for text in [r#"{"name": "x", "seed": 3}"#, r#"{"edits": [{"step": 3}]}"#, r#"{"model": {"kind": "none"}}"#] {
        assert!(!of_whole(text), "{text}");
    }
}

#[test]
fn a_run_kept_by_an_earlier_build_is_read() {
    let spec = RunSpec { steps: 7, ..RunSpec::default() };
    let mut tree = serde_json::to_value(&spec).unwrap();
    for (part, field) in [
        ("data", "projection"),
        ("data", "components"),
        ("data", "label_noise"),
        ("batch", "policy"),
        ("batch", "eta"),
        ("optimizer", "decay"),
        ("optimizer", "warm"),
        ("optimizer", "trust"),
        ("optimizer", "largest_norm"),
        ("optimizer", "rho"),
        ("optimizer", "trained"),
        ("schedule", "span"),
        ("schedule", "points"),
        ("schedule", "momentum"),
        ("schedule", "auto"),
        ("schedule", "patience"),
    ] {
        assert!(tree[part].as_object_mut().unwrap().remove(field).is_some(), "{part}.{field}");
    }
    assert_eq!(RunSpec::from_tree(&tree).unwrap(), spec);
}

#[test]
fn values_out_of_memory_bounds_or_not_finite_are_mended() {
    let mut spec = RunSpec::default();
    spec.schedule.peak = f64::NAN;
    spec.optimizer.beta1 = 2.0;
    spec.steps = 0;
    spec.model = ModelSpec::Gpt(GptSpec { heads: 0, ..GptSpec::default() });
    let paths: Vec<String> = spec.sanitize().into_iter().map(|issue| issue.path).collect();
    assert_eq!(paths, ["model.heads", "optimizer.beta1", "schedule.peak", "steps", "model"]);
    assert_eq!(spec, RunSpec::default());
}

#[test]
fn runs_are_named_by_what_differs() {
    let runs: Vec<RunSpec> =
        ["#lab", "#lab?model.depth=4", "#lab?model.depth=4&optimizer=sgd&schedule.peak=0.1", "#lab?model=mlp"]
            .map(|text| Link::parse(text).spec)
            .to_vec();
    assert_eq!(
        name_by_difference(&runs),
        [
            "depth 2",
            "depth 4 · AdamW · learning rate 0.002",
            "CCT · depth 4 · SGD · learning rate 0.1",
            "MLP · AdamW · learning rate 0.002"
        ]
    );
    assert_eq!(name_by_difference(&runs[..1]), ["CCT · MNIST digits"]);
}

#[test]
fn tokenizers_make_the_tokens_of_the_paper() {
    let cct = |blocks, stride| TransformerSpec { blocks, stride, ..TransformerSpec::cct() };
    assert_eq!(cct(1, 0).token_grid(8, 8), Some([4, 4]));
    assert_eq!(cct(1, 1).token_grid(28, 28), Some([14, 14]));
    assert_eq!(cct(2, 0).token_grid(28, 28), Some([7, 7]));
    let patches = |patch| TransformerSpec { patch, ..TransformerSpec::vit() };
    assert_eq!(patches(2).token_grid(8, 8), Some([4, 4]));
    assert_eq!(patches(5).token_grid(28, 28), None);
    assert_eq!([3, 5, 7].map(|kernel| TransformerSpec { kernel, ..cct(1, 0) }.conv_stride()), [1, 1, 2]);
}

/// Text of every Rust source below a folder.
fn sources(folder: &std::path::Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_glossary_names_symbols_that_exist() {
    let engine = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    for folder in ["src", "studies/src"] {
        sources(&engine.join(folder), &mut code);
    }
    let words: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let glossary = std::fs::read_to_string(engine.join("../GLOSSARY.md")).unwrap();
    let rows: Vec<&str> = glossary.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(rows.len() > 50);
    for row in rows.iter().filter(|row| !row.starts_with("| term")) {
        let symbols = row.split('|').nth(3).unwrap();
        assert!(symbols.contains('`'), "{row}");
        for part in symbols.split('`').skip(1).step_by(2).flat_map(|symbol| symbol.split("::")) {
            assert!(words.contains(part), "{part} is not in the code");
        }
    }
}

#[test]
fn decimals_are_read_however_they_are_spelt() {
    for (text, value) in [
        ("0", 0.0),
        ("007", 7.0),
        (".5", 0.5),
        ("2.", 2.0),
        (" +1e-8 ", 1e-8),
        ("-0.25E+2", -25.0),
        ("1000000000", 1e9),
    ] {
        assert_eq!(number(text), Some(value), "{text}");
    }
    for text in [
        "", ".", "-", "e5", ".e5", "5e", "1e5.5", "+-5", "- 5", "+ 5", "1,5", "0x10", "1_000", "[1]", "inf", "NaN",
        "1e999",
    ] {
        assert_eq!(number(text), None, "{text}");
    }
}

proptest! {
    /// The standard library rounds correctly; so must this where a spec's numbers lie.
    #[test]
    fn short_decimals_are_read_exactly(digits in 0..1_000_000_000_u32, exponent in -22..=13_i32, minus: bool) {
        let text = format!("{}{digits}e{exponent}", if minus { "-" } else { "" });
        prop_assert_eq!(number(&text).map(f64::to_bits), text.parse::<f64>().ok().map(f64::to_bits));
    }
}

#[test]
fn a_side_that_a_link_did_not_ask_for_is_no_fault_of_it() {
    for link in ["#lab?data=digits", "{\"data\": {\"set\": \"digits\"}}"] {
        let link = Link::parse(link);
        assert_eq!((link.spec.data.size, link.issues), (0, vec![]));
    }
    let mut spec = RunSpec::default();
    spec.set("data.size", "14").unwrap();
    spec.set("data", "digits").unwrap();
    assert_eq!(spec.data.size, 0);
    let asked = Link::parse("#lab?data=digits&data.size=14");
    assert_eq!((asked.spec.data.size, asked.issues[0].path.as_str()), (0, "data.size"));
    // One that fits stays.
    assert_eq!(Link::parse("#lab?data.size=7&data=digits").spec.data.size, 7);
}

#[test]
fn a_batch_is_no_larger_than_a_generated_set() {
    for (link, size) in [
        ("#lab?preset=mlp&data=spirals&batch.size=4096", GENERATED),
        ("#lab?preset=mlp&data=mixture&data.train=500&batch.size=1000", 500),
    ] {
        let link = Link::parse(link);
        assert_eq!((link.spec.batch.size, link.issues[0].path.as_str()), (size, "batch.size"));
    }
    assert_eq!(Link::parse("#lab?preset=mlp&data=spirals&batch.size=2000").issues, []);
}

/// A link of known and unknown controls with fitting and unfitting values, sometimes cut or with a character changed.
fn random_link(random: &mut crate::rng::Rng) -> String {
    const VALUES: [&str; 24] = [
        "0",
        "1",
        "-1",
        "3",
        "8",
        "64",
        "1e9",
        "0.5",
        "NaN",
        "",
        "true",
        "none",
        "mlp",
        "adam",
        "own",
        "digits",
        "spirals",
        "%C3%84",
        "%",
        "a,b",
        "*,-a",
        "x=category",
        "0:0.1,5:0.2",
        "99999999999999999999",
    ];
    let mut below = |n: usize| random.below(n as u32) as usize;
    let mut link = String::from("#lab?");
    for _ in 0..below(8) {
        let field = &FIELDS[below(FIELDS.len())];
        let value = match &field.kind {
            Kind::Choice { options } if below(3) > 0 => options[below(options.len())].id.to_string(),
            _ => VALUES[below(VALUES.len())].to_owned(),
        };
        match below(8) {
            0 => link += &format!("edit={}:{}={value}&", below(300), field.path),
            1 => link += &format!("{}x={value}&", field.path),
            _ => link += &format!("{}={value}&", field.path),
        }
    }
    if below(4) == 0 {
        link.truncate(below(link.len()) + 1);
    }
    link
}

#[test]
#[ignore = "reads a million links"]
fn generated_links_are_read_and_what_is_wrong_is_said() {
    let mut wrong = 0_u64;
    for seed in 0..1_000_000 {
        let text = random_link(&mut crate::rng::Rng::new(seed, crate::rng::Stream::Generate, 1));
        let link = Link::parse(&text);
        assert!(link.issues.iter().all(|issue| issue.message.len() > 5), "{text}: {:?}", link.issues);
        assert_eq!(link.spec.validate(), [], "{text}");
        wrong += u64::from(!link.issues.is_empty());
        if seed % 16 == 0 {
            let again = Link::parse(&link.fragment());
            assert_eq!((again.spec, again.issues), (link.spec, vec![]), "{text}");
        }
    }
    println!("{wrong} of a million links have something wrong");
    assert!(wrong > 100_000);
}
