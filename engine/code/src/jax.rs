//! A run in JAX: the network as functions of its parameters, the update rule by optax.

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
    let rule = rule::written(script);
    let Schedule { constants, functions } = python::schedule(script, net.constants);
    let mut sections = net.functions;
    sections.extend(rule.functions);
    sections.extend(functions);
    sections.extend([batch(script), objective(script)]);
    let mut code = vec!["HERE = Path(__file__).parent\nDATA = load_file(HERE / \"data.safetensors\")".to_owned()];
    code.extend(constants.iter().map(|(name, value)| format!("{name} = {value}")));
    let main = [
        start(script, net.running),
        rule.setting,
        update(script, net.running),
        test(script, net.running),
        training(script, net.running),
    ];
    let code = format!(
        "{}\n\n\n{}\n\n\n{}\n",
        code.join("\n"),
        sections.join("\n\n\n"),
        main.join("\n\n\n").replacen("\n\n\n", "\n", 1)
    );
    let head = script.head(Framework::Jax, "Needs jax, optax and safetensors.");
    let modules = [
        ("jax", "import jax"),
        ("jnp", "import jax.numpy as jnp"),
        ("np", "import numpy as np"),
        ("optax", "import optax"),
    ];
    let mut imports: Vec<&str> =
        modules.iter().filter(|(name, _)| code.contains(&format!("{name}."))).map(|(_, line)| *line).collect();
    imports.push("from safetensors.numpy import load_file");
    if rule.exact {
        imports.push("\n# optax corrects the bias of Adam's means in the widest type there is; single precision would show in the losses.");
        imports.push("jax.config.update(\"jax_enable_x64\", True)");
    }
    format!("\"\"\"{}\n\"\"\"\n\n{}\n\n{}\n\n{code}", head.join("\n"), python::standard(&code), imports.join("\n"))
}

/// Parameters and running statistics.
fn start(script: &Script<'_>, running: bool) -> String {
    let learns = rule::learning(script);
    let whole = if running || learns.is_some() { "start" } else { "params" };
    let file = "load_file(HERE / \"start.safetensors\").items()";
    let mut lines = vec![format!("{whole} = {{name: jnp.asarray(value) for name, value in {file}}}")];
    if running {
        let moves = "name.endswith((\"mean\", \"variance\"))";
        lines.push(format!("running = {{name: start.pop(name) for name in list(start) if {moves}}}"));
    }
    match learns {
        Some(learns) => {
            lines.push(format!("params = {{name: value for name, value in start.items() if {learns}}}"));
            lines.push("still = {name: value for name, value in start.items() if name not in params}".to_owned());
        }
        None if running => lines.push("params = start".to_owned()),
        None => {}
    }
    lines.join("\n")
}

/// What the network is given, by name.
fn given(script: &Script<'_>) -> &'static str {
    if rule::learning(script).is_some() { "still | params" } else { "params" }
}

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
            "    tokens = DATA[\"x\"][rows[:, None] + np.arange(CONTEXT + 1)].astype(np.int32)",
            "    return tokens[:, :-1], tokens[:, 1:]",
        ],
        Feed::Series { .. } => &[
            "def batch(rows):",
            "    \"\"\"What was measured from these hours on, and what comes after it.\"\"\"",
            "    steps = DATA[\"x\"][rows[:, None] + np.arange(WINDOW + HORIZON)]",
            "    return steps[:, :WINDOW].reshape(len(rows), -1), steps[:, WINDOW:, TARGET]",
        ],
    };
    lines.join("\n")
}

fn objective(script: &Script<'_>) -> String {
    let smoothing = script.spec.objective.label_smoothing;
    let lines = match script.spec.objective.kind {
        Loss::CrossEntropy if smoothing > 0.0 => vec![
            format!("wanted = optax.smooth_labels(jax.nn.one_hot(y, {}), {})", script.outputs(), number(smoothing)),
            "return optax.softmax_cross_entropy(out, wanted).mean()".to_owned(),
        ],
        Loss::CrossEntropy => vec!["return optax.softmax_cross_entropy_with_integer_labels(out, y).mean()".to_owned()],
        Loss::Mse | Loss::Restore if script.classes() => {
            vec![format!("return ((out - jax.nn.one_hot(y, {})) ** 2).mean()", script.outputs())]
        }
        Loss::Mse | Loss::Restore => vec!["return ((out - y) ** 2).mean()".to_owned()],
    };
    let lines: String = lines.iter().map(|line| format!("\n    {line}")).collect();
    format!("def objective(out, y):\n    \"\"\"{}\"\"\"{lines}", python::objective(script))
}

/// One update.
fn update(script: &Script<'_>, running: bool) -> String {
    let net = given(script);
    let scaled = if slows(&script.spec.model) { "rate * scale[name] * steps[name]" } else { "rate * steps[name]" };
    let text = match running {
        true => {
            "
@jax.jit
def update(params, running, state, x, y, rate):
    def loss_of(params):
        out, moved = net(NET, running, x, train=True)
        return objective(out, y), moved

    (loss, running), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
    steps, state = rule.update(gradient, state, params)
    return {name: params[name] - SCALED for name in params}, running, state, loss"
        }
        false => {
            "
@jax.jit
def update(params, state, x, y, rate):
    loss, gradient = jax.value_and_grad(lambda params: objective(net(NET, x), y))(params)
    steps, state = rule.update(gradient, state, params)
    return {name: params[name] - SCALED for name in params}, state, loss"
        }
    };
    text.trim_start().replace("net(NET", &format!("net({net}")).replace("SCALED", scaled)
}

fn test(script: &Script<'_>, running: bool) -> String {
    let classes = script.classes();
    let of = format!(
        "net({}{}, x{})",
        given(script),
        if running { ", running" } else { "" },
        if running { ", train=False" } else { "" }
    );
    let out = if running { format!("out, _ = {of}") } else { format!("out = {of}") };
    let mut lines = vec![
        "def test():".to_owned(),
        format!("    \"\"\"Loss{} on the test set.\"\"\"", if classes { " and accuracy" } else { "" }),
        format!("    loss{} = 0.0", if classes { " = right" } else { "" }),
        "    for rows in np.array_split(DATA[\"test_rows\"], -(-len(DATA[\"test_rows\"]) // 100)):".to_owned(),
        "        x, y = batch(rows)".to_owned(),
        format!("        {out}"),
        "        loss += len(rows) * objective(out, y).item()".to_owned(),
    ];
    if classes {
        lines.push("        right += len(rows) * (out.argmax(-1) == y).mean().item()".to_owned());
        lines.push("    return loss / len(DATA[\"test_rows\"]), right / len(DATA[\"test_rows\"])".to_owned());
    } else {
        lines.push("    return loss / len(DATA[\"test_rows\"])".to_owned());
    }
    lines.join("\n")
}

fn training(script: &Script<'_>, running: bool) -> String {
    let rate = python::rate(script, "DATA[\"lab_rates\"][step]");
    let mut lines = vec!["state = rule.init(params)".to_owned()];
    if rate.counts {
        lines.push("seen = 0".to_owned());
    }
    lines.push(match script.sized {
        true => "for step, rows in enumerate(np.split(DATA[\"rows\"], np.cumsum(DATA[\"sizes\"])[:-1])):".to_owned(),
        false => "for step, rows in enumerate(DATA[\"rows\"]):".to_owned(),
    });
    if let Rate::Recorded(why) = &script.rate {
        lines.push(format!("    # The lab's learning rates: {why}."));
    }
    lines.push("    x, y = batch(rows)".to_owned());
    lines.push(match running {
        true => format!("    params, running, state, loss = update(params, running, state, x, y, {})", rate.code),
        false => format!("    params, state, loss = update(params, state, x, y, {})", rate.code),
    });
    if rate.counts {
        lines.push("    seen += len(rows)".to_owned());
    }
    lines.push(python::REPORT.to_owned());
    lines.push(python::results(script));
    lines.join("\n")
}
