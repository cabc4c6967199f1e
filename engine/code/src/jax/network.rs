//! The network in JAX: functions of parameters under the lab's names.

use engine::spec::{
    Activation, ConvnetSpec, Gelu, GptSpec, MlpSpec, ModelSpec, Norm, NormOrder, Pooling, Positions, Tokenizer,
    TransformerSpec,
};
use engine::train::Feed;

use crate::bundle::Name;
use crate::script::Script;

/// The network of a script.
pub struct Network {
    /// Sizes by name.
    pub constants: Vec<(&'static str, String)>,
    /// What it is computed by; the last is `net`.
    pub functions: Vec<String>,
    /// Whether it has running statistics.
    pub running: bool,
}

const DENSE: &str = "def dense(p, name, x):
    return x @ p[name + \".weight\"] + p[name + \".bias\"]";

const LAYER_NORM: &str = "def layer_norm(p, name, x):
    x = (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * p[name + \".gamma\"] + p[name + \".beta\"]";

/// Of the axes but the features'.
const BATCH_NORM: &str = "def batch_norm(p, running, moved, name, x, train):
    \"\"\"Over the batch in training, when it moves the running statistics; by these in testing.\"\"\"
    axes = (0, *range(2, x.ndim))
    wide = lambda value: value.reshape(1, -1, *[1] * (x.ndim - 2))
    mean, variance = running[name + \".mean\"], running[name + \".variance\"]
    if train:
        count = x.size // x.shape[1]
        seen = x.mean(axes), x.var(axes)
        moved[name + \".mean\"] = 0.9 * mean + 0.1 * seen[0]
        moved[name + \".variance\"] = 0.9 * variance + 0.1 * seen[1] * count / max(count - 1, 1)
        mean, variance = seen
    x = (x - wide(mean)) * jax.lax.rsqrt(wide(variance) + 1e-5)
    return x * wide(p[name + \".gamma\"]) + wide(p[name + \".beta\"])";

const MAX_POOL: &str = "def max_pool(x, side, padding):
    around = (0, 0), (0, 0), (padding, padding), (padding, padding)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, side, side), (1, 1, 2, 2), around)";

fn conv(bias: bool, stride: usize, padding: usize) -> String {
    let added = if bias { " + p[name + \".bias\"][:, None, None]" } else { "" };
    format!(
        "def conv(p, name, x):
    layout = (\"NCHW\", \"OIHW\", \"NCHW\")
    around = [({padding}, {padding})] * 2
    x = jax.lax.conv_general_dilated(x, p[name + \".weight\"], ({stride}, {stride}), around, dimension_numbers=layout)
    return x{added}"
    )
}

/// The network.
pub fn written(script: &Script<'_>) -> Network {
    let mut network = match &script.spec.model {
        ModelSpec::Mlp(spec) => mlp(spec, script),
        ModelSpec::Convnet(spec) => convnet(spec),
        ModelSpec::Vit(spec) | ModelSpec::Cvt(spec) | ModelSpec::Cct(spec) => transformer(spec, script),
        ModelSpec::Gpt(spec) => gpt(spec),
    };
    if let Feed::Series { window, horizon, target, .. } = script.feed {
        let sizes = [("WINDOW", *window), ("HORIZON", *horizon), ("TARGET", *target)];
        network.constants.extend(sizes.map(|(name, size)| (name, size.to_string())));
    }
    network
}

/// The lab's own names and layout.
pub fn names(name: &str, _: &[usize]) -> Name {
    Name { name: name.to_owned(), transposed: false }
}

fn mlp(spec: &MlpSpec, script: &Script<'_>) -> Network {
    let batch = spec.norm == Norm::Batch && !spec.hidden.is_empty();
    let mut functions = vec![DENSE.to_owned()];
    let mut lines = vec![if batch { "def net(p, running, x, train):" } else { "def net(p, x):" }.to_owned()];
    if matches!(script.feed, Feed::Images { .. }) {
        lines.push("    x = x.reshape(len(x), -1)".to_owned());
    }
    if !spec.hidden.is_empty() {
        if batch {
            lines.push("    moved = {}".to_owned());
        }
        lines.push(format!("    for layer in range({}):", spec.hidden.len()));
        lines.push("        x = dense(p, f\"layers.{layer}.linear\", x)".to_owned());
        match spec.norm {
            Norm::Layer => {
                functions.push(LAYER_NORM.to_owned());
                lines.push("        x = layer_norm(p, f\"layers.{layer}.layer_norm\", x)".to_owned());
            }
            Norm::Batch => {
                functions.push(BATCH_NORM.to_owned());
                lines.push(
                    "        x = batch_norm(p, running, moved, f\"layers.{layer}.batch_norm\", x, train)".to_owned(),
                );
            }
            Norm::None => {}
        }
        lines.push(
            match spec.activation {
                Activation::Relu => "        x = jax.nn.relu(x)",
                Activation::Gelu => "        x = jax.nn.gelu(x, approximate=False)",
                Activation::Tanh => "        x = jnp.tanh(x)",
            }
            .to_owned(),
        );
    }
    lines.push(
        if batch { "    return dense(p, \"head\", x), moved" } else { "    return dense(p, \"head\", x)" }.to_owned(),
    );
    functions.push(lines.join("\n"));
    Network { constants: vec![], functions, running: batch }
}

fn convnet(spec: &ConvnetSpec) -> Network {
    let batch = spec.norm == Norm::Batch;
    let mut functions = vec![DENSE.to_owned(), conv(!batch, 1, spec.kernel / 2), MAX_POOL.to_owned()];
    let mut lines = Vec::new();
    if batch {
        functions.push(BATCH_NORM.to_owned());
        lines.push("def net(p, running, x, train):\n    moved = {}".to_owned());
    } else {
        lines.push("def net(p, x):".to_owned());
    }
    lines.push(format!("    for block in range({}):", spec.channels.len()));
    lines.push("        x = conv(p, f\"blocks.{block}.conv\", x)".to_owned());
    if batch {
        lines.push("        x = batch_norm(p, running, moved, f\"blocks.{block}.norm\", x, train)".to_owned());
    }
    lines.push("        x = max_pool(jax.nn.relu(x), 2, 0)".to_owned());
    let moved = if batch { ", moved" } else { "" };
    lines.push(format!("    return dense(p, \"head\", x.mean((2, 3))){moved}"));
    functions.push(lines.join("\n"));
    Network { constants: vec![], functions, running: batch }
}

/// The layer that image models and the GPT share.
fn layer(official: bool, causal: bool, gelu: Gelu, branch: bool) -> Vec<String> {
    let approximate = if gelu == Gelu::Tanh { "True" } else { "False" };
    let qkv = if official { "x @ p[name + \".qkv.weight\"]" } else { "dense(p, name + \".qkv\", x)" };
    let masked = match causal {
        true => "\n    scores = jnp.where(jnp.tri(x.shape[1], dtype=bool), scores, -1e9)  # nothing that comes later",
        false => "",
    };
    let attention = format!(
        "def attention(p, name, x):
    heads = lambda part: part.reshape(*x.shape[:2], HEADS, -1).swapaxes(1, 2)
    q, k, v = map(heads, jnp.split({qkv}, 3, -1))
    scores = q @ k.swapaxes(2, 3) / sqrt(WIDTH // HEADS){masked}
    return dense(p, name + \".out\", (jax.nn.softmax(scores) @ v).swapaxes(1, 2).reshape(x.shape))"
    );
    let weighed = if branch { "BRANCH * " } else { "" };
    let (second, residual) = match official {
        true => ("    x = layer_norm(p, name + \".norm2\", x)  # in the order of CCT's code\n", "x"),
        false => ("", "layer_norm(p, name + \".norm2\", x)"),
    };
    let layer = format!(
        "def layer(p, name, x):
    x = x + {weighed}attention(p, name, layer_norm(p, name + \".norm1\", x))
{second}    inner = jax.nn.gelu(dense(p, name + \".fc1\", {residual}), approximate={approximate})
    return x + {weighed}dense(p, name + \".fc2\", inner)"
    );
    vec![DENSE.to_owned(), LAYER_NORM.to_owned(), attention, layer]
}

fn transformer(spec: &TransformerSpec, script: &Script<'_>) -> Network {
    let shape = script.feed.example().0;
    let size = |name, value: usize| (name, value.to_string());
    let mut constants = vec![size("WIDTH", spec.width), size("DEPTH", spec.depth), size("HEADS", spec.heads)];
    let mut functions = layer(spec.order == NormOrder::Official, false, spec.gelu, false);
    let mut lines = vec!["def net(p, x):".to_owned()];
    match spec.tokenizer {
        Tokenizer::Patch => {
            constants.push(size("PATCH", spec.patch));
            let (down, across) = (shape[1] / spec.patch, shape[2] / spec.patch);
            lines.push(format!("    x = x.reshape(len(x), {}, {down}, PATCH, {across}, PATCH)", shape[0]));
            lines.push(format!("    x = x.transpose(0, 2, 4, 1, 3, 5).reshape(len(x), {}, -1)", down * across));
            lines.push("    x = dense(p, \"patch\", x)".to_owned());
        }
        Tokenizer::Conv => {
            functions.push(conv(spec.conv_bias, spec.conv_stride(), spec.conv_padding()));
            functions.push(MAX_POOL.to_owned());
            lines.push(format!("    for block in range({}):", spec.blocks));
            lines.push("        x = max_pool(jax.nn.relu(conv(p, f\"convs.{block}\", x)), 3, 1)".to_owned());
            lines.push("    x = x.reshape(len(x), WIDTH, -1).swapaxes(1, 2)".to_owned());
        }
    }
    if spec.pool == Pooling::Class {
        lines.push("    x = jnp.concatenate([jnp.broadcast_to(p[\"class\"], (len(x), 1, WIDTH)), x], 1)".to_owned());
    }
    match spec.positions {
        Positions::Learned => lines.push("    x = x + p[\"positions\"]".to_owned()),
        Positions::Sine => {
            functions.push(
                "def sines(tokens):
    \"\"\"Positions as sines (even features) and cosines (odd) of geometric wavelengths (Vaswani et al. 2017).\"\"\"
    angles = jnp.arange(tokens)[:, None] / 10_000 ** (jnp.arange(0, WIDTH, 2) / WIDTH)
    return jnp.stack([jnp.sin(angles), jnp.cos(angles)], 2).reshape(tokens, WIDTH).astype(jnp.float32)"
                    .to_owned(),
            );
            lines.push("    x = x + sines(x.shape[1])".to_owned());
        }
        Positions::None => {}
    }
    lines.push("    for block in range(DEPTH):".to_owned());
    lines.push("        x = layer(p, f\"blocks.{block}\", x)".to_owned());
    lines.push("    x = layer_norm(p, \"norm\", x)".to_owned());
    lines.push(match spec.pool {
        Pooling::Class => "    x = x[:, 0]".to_owned(),
        Pooling::Mean => "    x = x.mean(1)".to_owned(),
        Pooling::Seq => "    x = (jax.nn.softmax(dense(p, \"pool\", x), 1) * x).sum(1)".to_owned(),
    });
    lines.push("    return dense(p, \"head\", x)".to_owned());
    functions.push(lines.join("\n"));
    Network { constants, functions, running: false }
}

fn gpt(spec: &GptSpec) -> Network {
    let size = |name, value: usize| (name, value.to_string());
    let mut constants = vec![
        size("CONTEXT", spec.context),
        size("WIDTH", spec.width),
        size("DEPTH", spec.depth),
        size("HEADS", spec.heads),
    ];
    let scaled = spec.base > 0;
    if scaled {
        constants.push(size("BASE", spec.base));
        constants.push(("BRANCH", "1.4 / DEPTH**0.5  # what a branch weighs (muP, constants of MiniCPM)".to_owned()));
    }
    let mut functions = layer(false, true, spec.gelu, scaled);
    let embedded = "p[\"tokens.weight\"][x] + p[\"positions\"]";
    let logits = if spec.tied { "x @ p[\"tokens.weight\"].T" } else { "dense(p, \"head\", x)" };
    let lines = [
        "def net(p, x):".to_owned(),
        if scaled { format!("    x = 12 * ({embedded})  # muP") } else { format!("    x = {embedded}") },
        "    for block in range(DEPTH):".to_owned(),
        "        x = layer(p, f\"blocks.{block}\", x)".to_owned(),
        "    x = layer_norm(p, \"norm\", x)".to_owned(),
        if scaled { format!("    return {logits} * BASE / WIDTH  # muP") } else { format!("    return {logits}") },
    ];
    functions.push(lines.join("\n"));
    Network { constants, functions, running: false }
}
