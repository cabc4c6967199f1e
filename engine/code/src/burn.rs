//! A run in burn: the network as its modules, on the CPU.

mod network;
mod rule;

pub use network::names;
pub use rule::reasons;

use engine::spec::{Loss, ModelSpec, Norm};
use engine::train::Feed;

use crate::Framework;
use crate::schedule::{self, Rate};
use crate::script::Script;
use crate::text::Language;

/// What the script is built by.
pub const MANIFEST: &str = "\
[package]
name = \"run\"
version = \"0.1.0\"
edition = \"2024\"

[[bin]]
name = \"run\"
path = \"main.rs\"

[dependencies]
burn = { version = \"=0.22.1\", default-features = false, features = [\"std\", \"flex\", \"simd\", \"autodiff\", \"optim\"] }
safetensors = \"0.8\"

[profile.dev]
opt-level = 3
";

/// How examples lie in memory: what a batch of inputs is, and of targets.
struct Shapes {
    /// Type of the inputs.
    x: &'static str,
    /// Type of the targets.
    y: &'static str,
}

fn shapes(script: &Script<'_>) -> Shapes {
    let y = match script.feed {
        Feed::Text { .. } => "Tensor<1, Int>",
        _ if script.classes() => "Tensor<1, Int>",
        _ => "Tensor<2>",
    };
    let x = match script.feed {
        Feed::Images { .. } if !matches!(script.spec.model, ModelSpec::Mlp(_)) => "Tensor<4>",
        Feed::Text { .. } => "Tensor<2, Int>",
        _ => "Tensor<2>",
    };
    Shapes { x, y }
}

/// The script.
pub fn script(script: &Script<'_>) -> String {
    let net = network::written(script);
    let mut constants: Vec<String> =
        net.constants.iter().map(|(name, value)| format!("const {name}: usize = {value};")).collect();
    let mut functions = Vec::new();
    if let Rate::Computed { constants: more, functions: known } = &script.rate {
        constants.extend(
            more.iter()
                .filter(|(name, _)| *name != "CONTEXT")
                .map(|(name, value)| format!("const {name}: f64 = {};", Language::Rust.float(*value))),
        );
        functions.extend(known.iter().map(|function| {
            let text = function.written(Language::Rust, function.comment());
            // A size is no number of the schedule's own.
            text.replace("* CONTEXT", "* CONTEXT as f64")
        }));
    }
    let rule = rule::written(script);
    let mut sections = net.items;
    sections.push(START.to_owned());
    sections.push(NUMBERS.to_owned());
    sections.push(table(script));
    sections.push(objective(script));
    sections.extend(rule.functions);
    sections.extend(functions);
    sections.push(test(script));
    sections.push(training(script, &net.name, &rule.setting, rule.clips));
    sections.push(
        "fn main() -> Result<(), Box<dyn Error>> {\n    train(Path::new(env!(\"CARGO_MANIFEST_DIR\"))).map(|_| ())\n}"
            .to_owned(),
    );
    let code = format!("{}\n\n{}\n", constants.join("\n"), sections.join("\n\n"));
    let mut head = script.head(Framework::Burn, "`cargo run` builds and runs it.");
    if network::normalises(script) {
        head.push("burn's batch norm tests by the biased variance of batches, the lab by the unbiased one.".to_owned());
    }
    let head: Vec<String> = head.iter().map(|line| format!("//! {line}").trim_end().to_owned()).collect();
    format!("{}\n\n{}\n\n{code}", head.join("\n"), imports(&code))
}

/// What the code uses.
fn imports(code: &str) -> String {
    let used = |name: &str| {
        let bound = |c: char| !c.is_alphanumeric() && c != '_';
        code.match_indices(name).any(|(at, _)| {
            code[..at].chars().next_back().is_none_or(bound) && code[at + name.len()..].chars().next().is_none_or(bound)
        })
    };
    let list = |path: &str, names: &[&str]| {
        let names: Vec<&str> = names.iter().copied().filter(|name| used(name)).collect();
        match &names[..] {
            [] => None,
            [one] => Some(format!("use {path}::{one};")),
            several => Some(format!("use {path}::{{{}}};", several.join(", "))),
        }
    };
    let own = [
        Some("use std::error::Error;".to_owned()),
        list("std::f64::consts", &["PI"]),
        Some("use std::path::Path;".to_owned()),
    ];
    let others = [
        list("burn::module", &["Module", "ModuleMapper", "ModuleVisitor", "Param", "ParamGroup"]),
        list("burn::nn::conv", &["Conv2d", "Conv2dConfig"]),
        list("burn::nn::loss", &["CrossEntropyLossConfig"]),
        list("burn::nn::pool", &["MaxPool2d", "MaxPool2dConfig"]),
        list(
            "burn::nn",
            &[
                "BatchNorm",
                "BatchNormConfig",
                "Embedding",
                "EmbeddingConfig",
                "LayerNorm",
                "LayerNormConfig",
                "Linear",
                "LinearConfig",
                "PaddingConfig2d",
            ],
        ),
        list("burn::optim::decay", &["WeightDecayConfig"]),
        list("burn::optim::momentum", &["MomentumConfig"]),
        list(
            "burn::optim",
            &[
                "AdaGradConfig",
                "AdamConfig",
                "AdamWConfig",
                "GradientsParams",
                "LambConfig",
                "LionConfig",
                "RmsPropConfig",
                "SgdConfig",
            ],
        ),
        list("burn::tensor", &["Bool", "Device", "Int", "Tensor", "TensorData", "activation"]),
        Some("use safetensors::SafeTensors;".to_owned()),
    ];
    let lines = |lines: &[Option<String>]| lines.iter().flatten().cloned().collect::<Vec<_>>().join("\n");
    format!("{}\n\n{}", lines(&own), lines(&others))
}

const START: &str = "\
/// Puts the lab's start in place of a module's own, by the path of each parameter.
struct Start<'a> {
    file: SafeTensors<'a>,
    path: Vec<String>,
}

impl ModuleMapper for Start<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values = numbers(&self.file, &self.path.join(\".\"));
        let own = param.val();
        let value = Tensor::from_data(TensorData::new(values, own.dims()), &own.device());
        Param::initialized(param.id, value.require_grad())
    }
}";

const NUMBERS: &str = "\
fn bytes<'a>(file: &SafeTensors<'a>, name: &str) -> &'a [u8] {
    file.tensor(name).unwrap_or_else(|error| panic!(\"{name}: {error}\")).data()
}

fn numbers(file: &SafeTensors, name: &str) -> Vec<f32> {
    let words = bytes(file, name).chunks_exact(4);
    words.map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}

fn indices(file: &SafeTensors, name: &str) -> Vec<usize> {
    let words = bytes(file, name).chunks_exact(8);
    words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize).collect()
}";

/// The tables and what becomes of rows of them.
fn table(script: &Script<'_>) -> String {
    let Shapes { x, y } = shapes(script);
    let read = match script.feed {
        Feed::Images { .. } => {
            "let [mean, deviation] = [\"mean\", \"std\"].map(|name| numbers(file, name));
        let pixels = bytes(file, \"x\").iter().enumerate();
        let channel = |at: usize| at / PIXELS % mean.len();
        let x = pixels.map(|(at, &pixel)| (f32::from(pixel) - mean[channel(at)]) / deviation[channel(at)]).collect();"
        }
        Feed::Text { .. } => "let x = bytes(file, \"x\").to_vec();",
        _ => "let x = numbers(file, \"x\");",
    };
    let (kind, fields) = match script.feed {
        Feed::Text { .. } => ("Characters, by their places in the vocabulary.", "x: Vec<u8>,"),
        Feed::Series { .. } => ("Measurements, standardised, hour after hour.", "x: Vec<f32>,"),
        Feed::Images { .. } => (
            "Images, whose pixels have mean 0 and deviation 1 over the training set, and their classes.",
            "x: Vec<f32>,\n    y: Vec<i64>,",
        ),
        _ if script.classes() => {
            ("Rows of numbers, standardised, and their classes.", "x: Vec<f32>,\n    y: Vec<i64>,")
        }
        _ => ("Rows of numbers, standardised, and what is to be said of them.", "x: Vec<f32>,\n    y: Vec<f32>,"),
    };
    let labels = match script.feed {
        Feed::Text { .. } | Feed::Series { .. } => ("", "Self { x }"),
        _ if script.classes() => {
            ("\n        let y = indices(file, \"y\").into_iter().map(|class| class as i64).collect();", "Self { x, y }")
        }
        _ => ("\n        let y = numbers(file, \"y\");", "Self { x, y }"),
    };
    let features = script.features();
    let shape = match shapes(script).x {
        "Tensor<4>" => {
            let shape = script.feed.example().0;
            format!("[rows.len(), {}, {}, {}]", shape[0], shape[1], shape[2])
        }
        "Tensor<2, Int>" => "[rows.len(), CONTEXT]".to_owned(),
        _ => format!(
            "[rows.len(), {}]",
            if matches!(script.feed, Feed::Series { .. }) { features.to_string() } else { "FEATURES".to_owned() }
        ),
    };
    let (lines, y_shape): (&[&str], &str) = match script.feed {
        Feed::Text { .. } => (
            &[
                "let texts = |from: usize| rows.iter().flat_map(move |&row| &self.x[row + from..row + from + CONTEXT]);",
                "let tokens = |from| texts(from).map(|&token| i64::from(token)).collect::<Vec<_>>();",
                "let (x, y) = (tokens(0), tokens(1));",
            ],
            "[rows.len() * CONTEXT]",
        ),
        Feed::Series { .. } => (
            &[
                "let x: Vec<f32> =",
                "    rows.iter().flat_map(|&row| &self.x[row * CHANNELS..(row + WINDOW) * CHANNELS]).copied().collect();",
                "let ahead = |row: usize| (0..HORIZON).map(move |k| self.x[(row + WINDOW + k) * CHANNELS + TARGET]);",
                "let y: Vec<f32> = rows.iter().flat_map(|&row| ahead(row)).collect();",
            ],
            "[rows.len(), HORIZON]",
        ),
        _ => (
            &[
                "let x = rows.iter().flat_map(|&row| &self.x[row * FEATURES..(row + 1) * FEATURES]);",
                "let x = x.copied().collect::<Vec<_>>();",
                "let y = rows.iter().map(|&row| self.y[row]).collect::<Vec<_>>();",
            ],
            if script.classes() { "[rows.len()]" } else { "[rows.len(), 1]" },
        ),
    };
    let lines = lines.join("\n        ");
    format!(
        "/// {kind}
struct Table {{
    {fields}
}}

impl Table {{
    fn new(file: &SafeTensors) -> Self {{
        {read}{}
        {}
    }}

    /// Inputs and targets of some rows.
    fn batch(&self, rows: &[usize], device: &Device) -> ({x}, {y}) {{
        {lines}
        (
            Tensor::from_data(TensorData::new(x, {shape}), device),
            Tensor::from_data(TensorData::new(y, {y_shape}), device),
        )
    }}
}}",
        labels.0, labels.1
    )
}

fn objective(script: &Script<'_>) -> String {
    let Shapes { y, .. } = shapes(script);
    let smoothing = script.spec.objective.label_smoothing;
    let value = match script.spec.objective.kind {
        Loss::CrossEntropy => {
            let smoothed = if smoothing > 0.0 {
                format!(".with_smoothing(Some({}))", Language::Rust.float(smoothing))
            } else {
                String::new()
            };
            format!("CrossEntropyLossConfig::new(){smoothed}.init(&out.device()).forward(out, y)")
        }
        Loss::Mse | Loss::Restore if script.classes() => {
            format!("(out - y.one_hot::<2>({}).float()).powf_scalar(2.0).mean()", script.outputs())
        }
        Loss::Mse | Loss::Restore => "(out - y).powf_scalar(2.0).mean()".to_owned(),
    };
    let comment = crate::python::objective(script);
    format!("/// {comment}\nfn objective(out: Tensor<2>, y: {y}) -> Tensor<1> {{\n    {value}\n}}")
}

fn test(script: &Script<'_>) -> String {
    let name = network::name(script);
    let (comment, result) = match script.classes() {
        true => ("Loss and accuracy on the test set.", "[f32; 2]"),
        false => ("Loss on the test set.", "f32"),
    };
    let (sums, right, end) = match script.classes() {
        true => (
            "let [mut loss, mut right] = [0.0; 2];",
            "\n        let hits = out.clone().argmax(1).reshape([-1]).equal(y.clone()).float().mean();
        right += part.len() as f32 * hits.into_scalar::<f32>();",
            "[loss, right].map(|sum| sum / rows.len() as f32)",
        ),
        false => ("let mut loss = 0.0;", "", "loss / rows.len() as f32"),
    };
    format!(
        "/// {comment}
fn test(model: &{name}, table: &Table, rows: &[usize]) -> {result} {{
    let (model, device) = (model.valid(), Device::flex());
    {sums}
    for part in rows.chunks(100) {{
        let (x, y) = table.batch(part, &device);
        let out = model.forward(x);{right}
        loss += part.len() as f32 * objective(out, y).into_scalar::<f32>();
    }}
    {end}
}}"
    )
}

/// The loop and the numbers at the end.
fn training(script: &Script<'_>, name: &str, setting: &[String], clips: bool) -> String {
    let counts = matches!(&script.rate, Rate::Computed { functions, .. }
        if functions.last().is_some_and(|function| function.arguments.contains(&"seen")));
    let mut lines = vec![
        "/// Trains the network and tests it; the loss of each update beside the lab's.".to_owned(),
        "pub fn train(folder: &Path) -> Result<Vec<[f32; 2]>, Box<dyn Error>> {".to_owned(),
        "    let start = std::fs::read(folder.join(\"start.safetensors\"))?;".to_owned(),
        "    let data = std::fs::read(folder.join(\"data.safetensors\"))?;".to_owned(),
        "    let (start, data) = (SafeTensors::deserialize(&start)?, SafeTensors::deserialize(&data)?);".to_owned(),
        "    let (table, device) = (Table::new(&data), Device::flex().autodiff());".to_owned(),
        format!("    let mut model = {name}::new(&device).map(&mut Start {{ file: start, path: Vec::new() }});"),
    ];
    lines.extend(setting.iter().map(|line| format!("    {line}")));
    lines.push("    let lab = numbers(&data, \"lab_losses\");".to_owned());
    if let Rate::Recorded(why) = &script.rate {
        lines.push(format!("    // The lab's learning rates: {why}."));
        lines.push("    let rates = numbers(&data, \"lab_rates\");".to_owned());
    }
    lines.push("    let mut losses = Vec::new();".to_owned());
    if counts {
        lines.push("    let mut seen = 0.0;".to_owned());
    }
    lines.push("    let rows = indices(&data, \"rows\");".to_owned());
    if script.sized {
        lines.push("    let mut rest = &rows[..];".to_owned());
        lines.push("    for (step, size) in indices(&data, \"sizes\").into_iter().enumerate() {".to_owned());
        lines.push("        let (rows, later) = rest.split_at(size);".to_owned());
        lines.push("        rest = later;".to_owned());
    } else {
        lines.push("    for (step, rows) in rows.chunks(BATCH).enumerate() {".to_owned());
    }
    let mut rate = match &script.rate {
        Rate::Recorded(_) => "f64::from(rates[step])".to_owned(),
        Rate::Computed { .. } if counts => "rate(step as f64, rows.len() as f64, seen)".to_owned(),
        Rate::Computed { .. } => "rate(step as f64)".to_owned(),
    };
    if let (true, Rate::Computed { .. }, Some(factor)) =
        (script.sized, &script.rate, schedule::scaling(script.spec, script.first))
    {
        let factor = Language::Rust.expression(&factor).replace("batch", "rows.len() as f64");
        rate = format!("{rate} * ({factor})");
    }
    lines.push("        let (x, y) = table.batch(rows, &device);".to_owned());
    lines.push("        let loss = objective(model.forward(x), y);".to_owned());
    lines.push("        let gradients = GradientsParams::from_grads(loss.backward(), &model);".to_owned());
    if clips {
        let largest = Language::Rust.float(script.spec.optimizer.clip);
        lines.push(format!("        let gradients = clipped(gradients, &model, {largest});"));
    }
    lines.push(format!("        model = optimizer.step({rate}, model, gradients);"));
    if counts {
        lines.push("        seen += rows.len() as f64;".to_owned());
    }
    lines.push("        let loss = loss.into_scalar::<f32>();".to_owned());
    lines.push("        println!(\"update {step}  loss {loss:.6}  lab {:.6}\", lab[step]);".to_owned());
    lines.push("        losses.push([loss, lab[step]]);".to_owned());
    lines.push("    }".to_owned());
    if script.classes() {
        lines.push("    let [loss, accuracy] = test(&model, &table, &indices(&data, \"test_rows\"));".to_owned());
    } else {
        lines.push("    let loss = test(&model, &table, &indices(&data, \"test_rows\"));".to_owned());
    }
    lines.push("    println!(\"test loss {loss:.6}  lab {:.6}\", numbers(&data, \"lab_test_loss\")[0]);".to_owned());
    if script.classes() {
        lines.push(
            "    println!(\"test accuracy {accuracy:.4}  lab {:.4}\", numbers(&data, \"lab_test_accuracy\")[0]);"
                .to_owned(),
        );
    }
    lines.push("    Ok(losses)\n}".to_owned());
    lines.join("\n")
}

/// Whether the network has batch norm.
pub fn has_batch_norm(model: &ModelSpec) -> bool {
    match model {
        ModelSpec::Mlp(spec) => spec.norm == Norm::Batch && !spec.hidden.is_empty(),
        ModelSpec::Convnet(spec) => spec.norm == Norm::Batch,
        _ => false,
    }
}
