//! TensorBoard's event files: records of protocol buffers, each framed by its length and two checksums.

use std::collections::BTreeMap;

use prost::{Message, Oneof};
use serde_json::Value as Json;

use crate::run::Run;

/// The name by which TensorBoard knows such a file; the folder it lies in names the run.
pub const EVENTS: &str = "events.out.tfevents.minibatch";

const FLOAT: i32 = 1;
const STRING: i32 = 7;
/// What TensorBoard calls the class of data that are tensors of their own, not points of a curve.
const TENSORS: i32 = 2;
const SUCCESS: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    scalar: Option<f32>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin: Option<Plugin>,
    #[prost(int32, tag = "4")]
    class: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Plugin {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
    #[prost(string, repeated, tag = "8")]
    texts: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "2")]
    sizes: Vec<Size>,
}

#[derive(Clone, PartialEq, Message)]
struct Size {
    #[prost(int64, tag = "1")]
    size: i64,
}

/// What the table of hyperparameters knows of a run.
#[derive(Clone, PartialEq, Message)]
struct Hyper {
    #[prost(message, optional, tag = "3")]
    start: Option<Start>,
    #[prost(message, optional, tag = "4")]
    end: Option<End>,
}

#[derive(Clone, PartialEq, Message)]
struct Start {
    #[prost(btree_map = "string, message", tag = "1")]
    controls: BTreeMap<String, Control>,
    #[prost(string, tag = "4")]
    group: String,
    #[prost(double, tag = "5")]
    seconds: f64,
}

#[derive(Clone, PartialEq, Message)]
struct End {
    #[prost(int32, tag = "1")]
    status: i32,
    #[prost(double, tag = "2")]
    seconds: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Control {
    #[prost(oneof = "Setting", tags = "2, 3, 4")]
    setting: Option<Setting>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Setting {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Switch(bool),
}

/// A run as an event file: its curves, its recipe in the table of hyperparameters, and as a text what makes it again. A run of which
/// nobody knows when it began ended at `now_ms`, in milliseconds since 1970. What it was paused for is not counted.
#[must_use]
pub fn events(run: &Run, now_ms: f64) -> Vec<u8> {
    let elapsed = run.elapsed();
    let total = elapsed.last().copied().unwrap_or(0.0);
    let began = run.began.unwrap_or(now_ms - total);
    // After so many updates.
    let at = |updates: u64| {
        let known = usize::try_from(updates).ok().and_then(|updates| elapsed.get(updates)).copied();
        (began + known.unwrap_or(total)) / 1000.0
    };
    let start = Start { controls: controls(run), group: run.link.clone(), seconds: at(0) };
    let end = End { status: SUCCESS, seconds: at(u64::MAX) };
    let about = vec![
        text("run", about(run)),
        hyper("_hparams_/session_start_info", Hyper { start: Some(start), end: None }),
        hyper("_hparams_/session_end_info", Hyper { start: None, end: Some(end) }),
    ];
    // What was measured before an update comes before its own numbers.
    let mut moments: BTreeMap<(u64, bool), Vec<Value>> = BTreeMap::new();
    for curve in run.curves() {
        for (step, value) in curve.points {
            let scalar = Value { tag: curve.tag.to_owned(), scalar: Some(value as f32), tensor: None, metadata: None };
            moments.entry((step, curve.of_update)).or_default().push(scalar);
        }
    }
    let mut file = Vec::new();
    write(&mut file, Event { wall_time: at(0), step: 0, what: Some(What::FileVersion("brain.Event:2".to_owned())) });
    write(&mut file, Event { wall_time: at(0), step: 0, what: Some(What::Summary(Summary { values: about })) });
    for ((step, of_update), values) in moments {
        let what = Some(What::Summary(Summary { values }));
        write(&mut file, Event { wall_time: at(step + u64::from(of_update)), step: step as i64, what });
    }
    file
}

fn text(tag: &str, text: String) -> Value {
    let shape = Some(Shape { sizes: vec![Size { size: 1 }] });
    of_plugin(tag, "text", vec![], Tensor { kind: STRING, shape, texts: vec![text] })
}

fn hyper(tag: &str, content: Hyper) -> Value {
    let shape = Some(Shape { sizes: vec![Size { size: 0 }] });
    of_plugin(tag, "hparams", content.encode_to_vec(), Tensor { kind: FLOAT, shape, texts: vec![] })
}

fn of_plugin(tag: &str, name: &str, content: Vec<u8>, tensor: Tensor) -> Value {
    let plugin = Some(Plugin { name: name.to_owned(), content });
    let metadata = Some(Metadata { plugin, class: TENSORS });
    Value { tag: tag.to_owned(), scalar: None, tensor: Some(tensor), metadata }
}

/// In Markdown.
fn about(run: &Run) -> String {
    let mut lines: Vec<String> = [&run.name, &run.note].into_iter().filter(|text| !text.is_empty()).cloned().collect();
    lines.extend(run.origin().map(|(name, value)| format!("{name}: `{value}`")));
    lines.join("\n\n")
}

fn controls(run: &Run) -> BTreeMap<String, Control> {
    let setting = |value: Json| match value {
        Json::Bool(on) => Some(Setting::Switch(on)),
        Json::Number(number) => number.as_f64().map(Setting::Number),
        Json::String(text) => Some(Setting::Text(text)),
        _ => None,
    };
    run.controls().into_iter().map(|(path, value)| (path, Control { setting: setting(value) })).collect()
}

fn write(file: &mut Vec<u8>, event: Event) {
    let event = event.encode_to_vec();
    let length = (event.len() as u64).to_le_bytes();
    for part in [length.as_slice(), &event] {
        file.extend_from_slice(part);
        file.extend_from_slice(&checksum(part).to_le_bytes());
    }
}

/// A CRC-32C that has been turned and shifted, so that one of data with checksums in them stays a good one.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::VERSION;

    /// The events of a file whose lengths and checksums are right.
    fn read(mut file: &[u8]) -> Vec<Event> {
        let mut events = vec![];
        while !file.is_empty() {
            let (length, rest) = file.split_at(8);
            let size = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            let (check, rest) = rest.split_at(4);
            assert_eq!(check, checksum(length).to_le_bytes());
            let (event, rest) = rest.split_at(size);
            assert_eq!(rest[..4], checksum(event).to_le_bytes());
            events.push(Event::decode(event).unwrap());
            file = &rest[4..];
        }
        events
    }

    fn run() -> Run {
        let json = r##"{"name": "A", "link": "#lab?v=1", "spec": {"seed": 7, "model": {"hidden": [8, 4]}, "x": null},
            "began": 1000.0, "steps": {"loss": [1.5, null], "step_ms": [500, 250]},
            "evaluations": [{"step": 0, "loss": 2.5}, {"step": 2, "loss": 0.5, "accuracy": 0.25}]}"##;
        serde_json::from_str(json).unwrap()
    }

    fn scalars(events: &[Event]) -> Vec<(f64, i64, String, f32)> {
        let of = |event: &Event| match &event.what {
            Some(What::Summary(Summary { values })) => values
                .iter()
                .filter_map(|value| Some((event.wall_time, event.step, value.tag.clone(), value.scalar?)))
                .collect(),
            _ => vec![],
        };
        events.iter().flat_map(of).collect()
    }

    #[test]
    fn checksums_are_those_of_the_format() {
        // RFC 3720, appendix B.4, gives the plain ones of 32 zeros and of 32 ones.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(&[0xff; 32]), 0x62a8_ab43);
        // 0x8a9136aa turned right by 15 is 0x6d551522.
        assert_eq!(checksum(&[0; 32]), 0x6d55_1522_u32.wrapping_add(0xa282_ead8));
    }

    #[test]
    fn a_file_begins_with_its_version() {
        let file = events(&run(), 0.0);
        // 24 bytes: the time (1 s) and the version.
        let mut event = vec![9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x1a, 13];
        event.extend_from_slice(b"brain.Event:2");
        assert_eq!(file[..8], 24_u64.to_le_bytes());
        assert_eq!(file[12..36], event);
        assert_eq!(read(&file).len(), 6);
    }

    #[test]
    fn curves_come_in_order_with_their_times() {
        let told = scalars(&read(&events(&run(), 0.0)));
        let expected = [
            (1.0, 0, "loss/test", 2.5),
            (1.5, 0, "loss/train", 1.5),
            (1.5, 0, "time/step_ms", 500.0),
            (1.75, 1, "time/step_ms", 250.0),
            (1.75, 2, "loss/test", 0.5),
            (1.75, 2, "accuracy/test", 0.25),
        ];
        let told: Vec<_> = told.iter().map(|(wall, step, tag, value)| (*wall, *step, tag.as_str(), *value)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_run_without_a_beginning_has_ended_now() {
        let run = Run { began: None, ..run() };
        let told = scalars(&read(&events(&run, 10_000.0)));
        assert_eq!((told[0].0, told.last().unwrap().0), (9.25, 10.0));
    }

    #[test]
    fn readings_of_the_curvature_are_lines_over_the_updates() {
        let figures = serde_json::json!([
            {"id": "eigenvalues", "x": {"label": "step"}, "marks": [
                {"line": {"name": "λ1", "points": [[0, 2.0], [10, null]]}},
                {"line": {"name": "stable up to", "points": [[0, 20.0]]}},
            ]},
            {"id": "trace", "x": {"label": "step"}, "marks": [{"line": {"name": "trace", "points": [[10, 5.0]]}}]},
            {"id": "spectrum", "x": {"label": "eigenvalue"}, "marks": [{"line": {"name": "no", "points": [[1, 1]]}}]},
        ]);
        let mut run = run();
        run.read_curvature(&figures);
        let told = scalars(&read(&events(&run, 0.0)));
        let told: Vec<_> = told.iter().filter(|(.., tag, _)| tag.starts_with("curvature")).collect();
        let expected = [
            ("curvature/eigenvalues/λ1", 0, 2.0),
            ("curvature/eigenvalues/stable up to", 0, 20.0),
            ("curvature/trace", 10, 5.0),
        ];
        assert_eq!(
            told.iter().map(|(_, step, tag, value)| (tag.as_str(), *step, *value)).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn the_recipe_is_in_the_table_of_hyperparameters() {
        let events = read(&events(&run(), 0.0));
        let Some(What::Summary(about)) = &events[1].what else { panic!("{events:?}") };
        let content = |value: &Value| value.metadata.as_ref().unwrap().plugin.as_ref().unwrap().content.clone();
        let start = Hyper::decode(content(&about.values[1]).as_slice()).unwrap().start.unwrap();
        let told: Vec<_> =
            start.controls.iter().map(|(path, control)| (path.as_str(), format!("{:?}", control.setting))).collect();
        assert_eq!(
            told,
            [("model.hidden", "Some(Text(\"8,4\"))".to_owned()), ("seed", "Some(Number(7.0))".to_owned())]
        );
        let said = &about.values[0].tensor.as_ref().unwrap().texts[0];
        assert_eq!(*said, format!("A\n\nlink: `#lab?v=1`\n\nseed: `7`\n\nversion: `{VERSION}`"));
    }
}
