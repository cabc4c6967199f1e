//! A run in PyTorch.

mod network;
mod rule;

pub use network::names;
pub use rule::{knows, reasons};

use engine::spec::Loss;
use engine::train::Feed;

use crate::Framework;
use crate::python::{self, Schedule};
use crate::schedule::Rate;
use crate::script::{Script, slows};
use crate::text::number;

/// The script.
pub fn script(script: &Script<'_>) -> String {
    let net = network::written(script);
    let Schedule { constants, functions } = python::schedule(script, net.constants);
    let constants: Vec<String> = constants.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let optimizer = rule::written(script);
    let mut sections = net.classes;
    sections.extend(optimizer.classes);
    sections.extend(functions);
    sections.push(batch(script));
    sections.push(objective(script));
    sections.extend(augment(script));
    sections.push(test(script));
    let mut body = Vec::new();
    body.push("HERE = Path(__file__).parent\nDATA = load_file(HERE / \"data.safetensors\")".to_owned());
    if !constants.is_empty() {
        body.push(constants.join("\n"));
    }
    let body = format!("{}\n\n\n{}", body.join("\n"), sections.join("\n\n\n"));
    let main = [net.model, optimizer.setting, training(script, optimizer.before_step)].join("\n\n");
    let code = format!("{body}\n\n\n{main}\n");
    let head = script.head(Framework::Torch, "Needs torch and safetensors.");
    format!("\"\"\"{}\n\"\"\"\n\n{}\n\n{code}", head.join("\n"), imports(&code))
}

/// What the code uses.
fn imports(code: &str) -> String {
    let mut lines = vec![python::standard(code), String::new(), "import torch".to_owned()];
    if code.contains("F.") {
        lines.push("import torch.nn.functional as F".to_owned());
    }
    lines.push("from safetensors.torch import load_file\nfrom torch import nn".to_owned());
    lines.join("\n")
}

/// From rows of the tables to inputs and targets.
fn batch(script: &Script<'_>) -> String {
    let lines: &[&str] = match script.feed {
        Feed::Images { .. } => &[
            "def batch(rows):",
            "    \"\"\"Images and their classes; pixels have mean 0 and deviation 1 over the training set.\"\"\"",
            "    return (DATA[\"x\"][rows] - DATA[\"mean\"]) / DATA[\"std\"], DATA[\"y\"][rows]",
        ],
        Feed::Table { .. } | Feed::Regression { .. } => &[
            "def batch(rows):",
            "    \"\"\"Rows of numbers, standardised, and what is to be said of them.\"\"\"",
            "    return DATA[\"x\"][rows], DATA[\"y\"][rows]",
        ],
        Feed::Text { .. } => &[
            "def batch(rows):",
            "    \"\"\"Texts that begin at these characters, and of each character the next one.\"\"\"",
            "    tokens = DATA[\"x\"][rows[:, None] + torch.arange(CONTEXT + 1)].long()",
            "    return tokens[:, :-1], tokens[:, 1:]",
        ],
        Feed::Series { .. } => &[
            "def batch(rows):",
            "    \"\"\"What was measured from these hours on, and what comes after it.\"\"\"",
            "    steps = DATA[\"x\"][rows[:, None] + torch.arange(WINDOW + HORIZON)]",
            "    return steps[:, :WINDOW].flatten(1), steps[:, WINDOW:, TARGET]",
        ],
    };
    lines.join("\n")
}

fn objective(script: &Script<'_>) -> String {
    let smoothing = script.spec.objective.label_smoothing;
    let text = matches!(script.feed, Feed::Text { .. });
    let value = match script.spec.objective.kind {
        Loss::CrossEntropy => {
            let smoothed =
                if smoothing > 0.0 { format!(", label_smoothing={}", number(smoothing)) } else { String::new() };
            let pair = if text { "out.flatten(0, 1), y.flatten()" } else { "out, y" };
            format!("F.cross_entropy({pair}{smoothed})")
        }
        Loss::Mse | Loss::Restore if script.classes() => {
            format!("F.mse_loss(out, F.one_hot(y, {}).float())", script.outputs())
        }
        Loss::Mse | Loss::Restore => "F.mse_loss(out, y)".to_owned(),
    };
    format!("def objective(out, y):\n    \"\"\"{}\"\"\"\n    return {value}", python::objective(script))
}

/// What varies training images.
fn augment(script: &Script<'_>) -> Option<String> {
    let spec = &script.spec.augment;
    if spec.shift == 0 && !spec.flip {
        return None;
    }
    let mut lines = vec![
        "def augment(x):".to_owned(),
        "    \"\"\"Training images varied at random; the background is what a pixel of 0 is.\"\"\"".to_owned(),
    ];
    if spec.shift > 0 {
        lines.extend([
            format!("    shift = {}", spec.shift),
            "    height, width = x.shape[2:]".to_owned(),
            "    black = (-DATA[\"mean\"] / DATA[\"std\"]).expand_as(x[0])".to_owned(),
            "    moved = black.repeat(len(x), 1, 1, 1)".to_owned(),
            "    for image, (down, right) in enumerate(torch.randint(-shift, shift + 1, (len(x), 2)).tolist()):"
                .to_owned(),
            "        to = (slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0)))"
                .to_owned(),
            "        of = (slice(max(-down, 0), height - max(down, 0)), slice(max(-right, 0), width - max(right, 0)))"
                .to_owned(),
            "        moved[image][:, *to] = x[image][:, *of]".to_owned(),
            "    x = moved".to_owned(),
        ]);
    }
    if spec.flip {
        lines.push("    mirrored = torch.rand(len(x), 1, 1, 1) < 0.5".to_owned());
        lines.push("    x = torch.where(mirrored, x.flip(3), x)".to_owned());
    }
    lines.push("    return x".to_owned());
    Some(lines.join("\n"))
}

fn test(script: &Script<'_>) -> String {
    let classes = script.classes();
    let mut lines = vec![
        "@torch.no_grad()",
        "def test():",
        if classes {
            "    \"\"\"Loss and accuracy on the test set.\"\"\""
        } else {
            "    \"\"\"Loss on the test set.\"\"\""
        },
        "    model.eval()",
        if classes { "    loss = right = 0.0" } else { "    loss = 0.0" },
        "    for rows in DATA[\"test_rows\"].split(100):",
        "        x, y = batch(rows)",
        "        out = model(x)",
        "        loss += len(rows) * objective(out, y).item()",
    ];
    if classes {
        lines.push("        right += len(rows) * (out.argmax(-1) == y).float().mean().item()");
        lines.push("    return loss / len(DATA[\"test_rows\"]), right / len(DATA[\"test_rows\"])");
    } else {
        lines.push("    return loss / len(DATA[\"test_rows\"])");
    }
    lines.join("\n")
}

/// The loop and the numbers at the end.
fn training(script: &Script<'_>, before_step: Vec<String>) -> String {
    let mut lines = vec!["model.train()".to_owned()];
    let rate = python::rate(script, "DATA[\"lab_rates\"][step].item()");
    if rate.counts {
        lines.push("seen = 0".to_owned());
    }
    lines.push(match script.sized {
        true => "for step, rows in enumerate(DATA[\"rows\"].split(DATA[\"sizes\"].tolist())):".to_owned(),
        false => "for step, rows in enumerate(DATA[\"rows\"]):".to_owned(),
    });
    if let Rate::Recorded(why) = &script.rate {
        lines.push(format!("    # The lab's learning rates: {why}."));
    }
    let scaled = if slows(&script.spec.model) { " * group[\"scale\"]" } else { "" };
    lines.push("    for group in optimizer.param_groups:".to_owned());
    lines.push(format!("        group[\"lr\"] = {}{scaled}", rate.code));
    if script.moves_momentum {
        lines.push(
            "        group[\"momentum\"] = DATA[\"lab_momenta\"][step].item()  # it moves with the rate".to_owned(),
        );
    }
    lines.push("    x, y = batch(rows)".to_owned());
    let varied = script.spec.augment.shift > 0 || script.spec.augment.flip;
    lines.push(format!("    loss = objective(model({}), y)", if varied { "augment(x)" } else { "x" }));
    lines.push("    optimizer.zero_grad()\n    loss.backward()".to_owned());
    let clip = script.spec.optimizer.clip;
    if clip > 0.0 {
        lines.push(format!("    nn.utils.clip_grad_norm_(model.parameters(), {})", number(clip)));
    }
    lines.extend(before_step);
    lines.push("    optimizer.step()".to_owned());
    if rate.counts {
        lines.push("    seen += len(rows)".to_owned());
    }
    lines.push(python::REPORT.to_owned());
    lines.push(python::results(script));
    lines.join("\n")
}
