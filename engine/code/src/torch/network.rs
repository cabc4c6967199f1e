//! The network in PyTorch: its own modules, under the lab's names where it is no plain sequence of layers.

use engine::spec::{
    Activation, ConvnetSpec, Gelu, GptSpec, MlpSpec, ModelSpec, Norm, NormOrder, Pooling, Positions, Tokenizer,
    TransformerSpec,
};
use engine::train::Feed;

use crate::bundle::Name;
use crate::refuse::drops;
use crate::script::Script;
use crate::text::number;

/// The network of a script.
pub struct Network {
    /// Sizes by name.
    pub constants: Vec<(&'static str, String)>,
    /// Classes and functions.
    pub classes: Vec<String>,
    /// The lines that make `model`.
    pub model: String,
}

/// Filters of every tokenizer block but the last.
const FILTERS: usize = 64;

/// Layers of a plain sequence: each as code, and the lab's module that it is.
struct Sequence(Vec<(String, Option<String>)>);

impl Sequence {
    fn add(&mut self, code: impl Into<String>) {
        self.0.push((code.into(), None));
    }

    /// A layer with parameters.
    fn of(&mut self, code: impl Into<String>, module: impl Into<String>) {
        self.0.push((code.into(), Some(module.into())));
    }
}

/// The network.
pub fn written(script: &Script<'_>) -> Network {
    let mut network = match &script.spec.model {
        ModelSpec::Mlp(spec) => sequence(&mlp(spec, script)),
        ModelSpec::Convnet(spec) => convnet(spec, script),
        ModelSpec::Vit(spec) | ModelSpec::Cvt(spec) | ModelSpec::Cct(spec) => transformer(spec, script),
        ModelSpec::Gpt(spec) => gpt(spec, script),
    };
    if let Feed::Series { window, horizon, target, .. } = script.feed {
        let sizes = [("WINDOW", *window), ("HORIZON", *horizon), ("TARGET", *target)];
        network.constants.extend(sizes.map(|(name, size)| (name, size.to_string())));
    }
    network.model += "\nmodel.load_state_dict(load_file(HERE / \"start.safetensors\"))";
    network
}

/// What PyTorch calls the lab's parameters, and how it keeps them.
pub fn names(script: &Script<'_>) -> impl Fn(&str, &[usize]) -> Name + use<> {
    let modules: Vec<(String, String)> = match &script.spec.model {
        ModelSpec::Mlp(spec) => {
            let layers = mlp(spec, script).0.into_iter().enumerate();
            layers.filter_map(|(place, (_, module))| Some((module?, place.to_string()))).collect()
        }
        ModelSpec::Convnet(spec) => {
            let blocks = spec.channels.len();
            let head = if spec.dropout > 0.0 { blocks + 3 } else { blocks + 2 };
            let parts = (0..blocks).flat_map(|block| {
                [("conv", 0), ("norm", 1)]
                    .map(|(part, place)| (format!("blocks.{block}.{part}"), format!("{block}.{place}")))
            });
            parts.chain([("head".to_owned(), head.to_string())]).collect()
        }
        _ => Vec::new(),
    };
    move |name, shape| {
        let (module, kind) = name.rsplit_once('.').unwrap_or(("", name));
        let kind = match kind {
            "gamma" => "weight",
            "beta" => "bias",
            "mean" => "running_mean",
            "variance" => "running_var",
            // A word of Python's own.
            "class" => "class_token",
            kind => kind,
        };
        let known = modules.iter().find(|(lab, _)| lab == module).map_or(module, |(_, own)| own);
        let linear = kind == "weight" && shape.len() == 2 && module != "tokens";
        let name = if known.is_empty() { kind.to_owned() } else { format!("{known}.{kind}") };
        Name { name, transposed: linear }
    }
}

fn sequence(layers: &Sequence) -> Network {
    let lines: String = layers.0.iter().map(|(code, _)| format!("    {code},\n")).collect();
    Network { constants: vec![], classes: vec![], model: format!("model = nn.Sequential(\n{lines})") }
}

fn dropout(layers: &mut Sequence, rate: f64) {
    if rate > 0.0 {
        layers.add(format!("nn.Dropout({})", number(rate)));
    }
}

fn mlp(spec: &MlpSpec, script: &Script<'_>) -> Sequence {
    let mut layers = Sequence(Vec::new());
    if matches!(script.feed, Feed::Images { .. }) {
        layers.add("nn.Flatten()");
    }
    let mut width = script.features();
    for (number, &next) in spec.hidden.iter().enumerate() {
        layers.of(format!("nn.Linear({width}, {next})"), format!("layers.{number}.linear"));
        match spec.norm {
            Norm::Layer => layers.of(format!("nn.LayerNorm({next})"), format!("layers.{number}.layer_norm")),
            Norm::Batch => layers.of(format!("nn.BatchNorm1d({next})"), format!("layers.{number}.batch_norm")),
            Norm::None => {}
        }
        layers.add(match spec.activation {
            Activation::Relu => "nn.ReLU()",
            Activation::Gelu => "nn.GELU()",
            Activation::Tanh => "nn.Tanh()",
        });
        dropout(&mut layers, spec.dropout);
        width = next;
    }
    layers.of(format!("nn.Linear({width}, {})", script.outputs()), "head");
    layers
}

/// Channels of the images.
fn channels(script: &Script<'_>) -> usize {
    script.feed.example().0[0]
}

fn convnet(spec: &ConvnetSpec, script: &Script<'_>) -> Network {
    let norm = spec.norm == Norm::Batch;
    let bias = if norm { ", bias=False" } else { "" };
    let mut lines = vec![
        "def block(inputs, filters):".to_owned(),
        format!("    \"\"\"Convolution{}, ReLU, half the side.\"\"\"", if norm { ", batch norm" } else { "" }),
        "    return nn.Sequential(".to_owned(),
        format!("        nn.Conv2d(inputs, filters, {}, padding={}{bias}),", spec.kernel, spec.kernel / 2),
    ];
    if norm {
        lines.push("        nn.BatchNorm2d(filters),".to_owned());
    }
    lines.push("        nn.ReLU(),\n        nn.MaxPool2d(2),\n    )".to_owned());
    let mut layers = Sequence(Vec::new());
    let mut width = channels(script);
    for &filters in &spec.channels {
        layers.add(format!("block({width}, {filters})"));
        width = filters;
    }
    layers.add("nn.AdaptiveAvgPool2d(1)");
    layers.add("nn.Flatten()");
    dropout(&mut layers, spec.dropout);
    layers.add(format!("nn.Linear({width}, {})", script.outputs()));
    Network { classes: vec![lines.join("\n")], ..sequence(&layers) }
}

/// The layer that image models and the GPT share.
fn layer(script: &Script<'_>, official: bool, causal: bool, gelu: Gelu, branch: f64) -> Vec<String> {
    let (dropout, attention, path) = drops(&script.spec.model);
    let bias = if official { ", bias=False" } else { "" };
    let dropped = |code: &str| {
        if dropout > 0.0 { format!("F.dropout({code}, {}, self.training)", number(dropout)) } else { code.to_owned() }
    };
    let mut attends = String::new();
    if causal {
        attends += ", is_causal=True";
    }
    if attention > 0.0 {
        attends += &format!(", dropout_p={} if self.training else 0.0", number(attention));
    }
    let joined = |code: String| {
        let code = if path > 0.0 { format!("self.survive({code})") } else { code };
        if branch == 1.0 { code } else { format!("BRANCH * {code}") }
    };
    let (arguments, sets) = match path > 0.0 {
        true => ("self, skipped", "\n        self.skipped = skipped"),
        false => ("self", ""),
    };
    let kind = match (official, causal) {
        (true, _) => "Attention and an MLP in the order of CCT's code: the second norm is what the MLP adds to.",
        (false, true) => "Attention to what came before, then an MLP, each added to what it reads.",
        (false, false) => "Attention, then an MLP, each added to what it reads.",
    };
    let form = if gelu == Gelu::Tanh { ", approximate=\"tanh\"" } else { "" };
    let inner = dropped(&format!("F.gelu(self.fc1(x){form})"));
    let mlp = dropped(&format!("self.fc2({inner})"));
    let mut text = format!(
        "class Layer(nn.Module):
    \"\"\"{kind}\"\"\"

    def __init__({arguments}):
        super().__init__(){sets}
        self.norm1 = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH{bias})
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.fc1 = nn.Linear(WIDTH, RATIO * WIDTH)
        self.fc2 = nn.Linear(RATIO * WIDTH, WIDTH)

    def attend(self, x):
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, 2))
        x = F.scaled_dot_product_attention(q, k, v{attends})
        return {}

    def mlp(self, x):
        return {mlp}
",
        dropped("self.out(x.transpose(1, 2).flatten(2))")
    );
    if path > 0.0 {
        text += "
    def survive(self, branch):
        if not self.training:
            return branch
        return branch * (torch.rand(len(branch), 1, 1) >= self.skipped) / (1 - self.skipped)
";
    }
    let (first, second) = (joined("self.attend(self.norm1(x))".into()), "self.norm2(x)");
    text += &match official {
        true => format!(
            "
    def forward(self, x):
        x = {second}
        return x + {}",
            joined("self.mlp(x)".into())
        )
        .replace("self.norm2(x)", &format!("self.norm2(x + {first})")),
        false => format!(
            "
    def forward(self, x):
        x = x + {first}
        return x + {}",
            joined(format!("self.mlp({second})"))
        ),
    };
    vec![text]
}

/// Makes the layers.
fn blocks(path: f64) -> &'static str {
    match path > 0.0 {
        true => "nn.ModuleList(Layer(SKIPPED * k / max(DEPTH - 1, 1)) for k in range(DEPTH))",
        false => "nn.ModuleList(Layer() for _ in range(DEPTH))",
    }
}

fn transformer(spec: &TransformerSpec, script: &Script<'_>) -> Network {
    let shape = script.feed.example().0;
    let grid = spec.token_grid(shape[1], shape[2]).unwrap_or([1, 1]);
    let class = spec.pool == Pooling::Class;
    let tokens = grid[0] * grid[1] + usize::from(class);
    let size = |name, value: usize| (name, value.to_string());
    let mut constants = vec![
        size("WIDTH", spec.width),
        size("DEPTH", spec.depth),
        size("HEADS", spec.heads),
        size("RATIO", spec.ratio),
        size("TOKENS", tokens),
        size("OUTPUTS", script.outputs()),
    ];
    let mut made = Vec::new();
    let mut used = Vec::new();
    match spec.tokenizer {
        Tokenizer::Patch => {
            constants.push(size("PATCH", spec.patch));
            made.push(format!("self.patch = nn.Linear({} * PATCH * PATCH, WIDTH)", shape[0]));
            used.push("x = self.patch(F.unfold(x, PATCH, stride=PATCH).transpose(1, 2))".to_owned());
        }
        Tokenizer::Conv => {
            made.push("self.convs = nn.ModuleList([".to_owned());
            let mut inputs = shape[0].to_string();
            for block in 1..=spec.blocks {
                let filters = if block == spec.blocks { "WIDTH".to_owned() } else { FILTERS.to_string() };
                let stride =
                    if spec.conv_stride() == 1 { String::new() } else { format!("stride={}, ", spec.conv_stride()) };
                let bias = if spec.conv_bias { "" } else { ", bias=False" };
                made.push(format!(
                    "    nn.Conv2d({inputs}, {filters}, {}, {stride}padding={}{bias}),",
                    spec.kernel,
                    spec.conv_padding()
                ));
                inputs = filters;
            }
            made.push("])".to_owned());
            used.push("for conv in self.convs:".to_owned());
            used.push("    x = F.max_pool2d(F.relu(conv(x)), 3, stride=2, padding=1)".to_owned());
            used.push("x = x.flatten(2).transpose(1, 2)".to_owned());
        }
    }
    if class {
        made.push("self.class_token = nn.Parameter(torch.zeros(1, WIDTH))".to_owned());
        used.push("x = torch.cat([self.class_token.expand(len(x), 1, WIDTH), x], 1)".to_owned());
    }
    let mut classes = layer(script, spec.order == NormOrder::Official, false, spec.gelu, 1.0);
    match spec.positions {
        Positions::Learned => {
            made.push("self.positions = nn.Parameter(torch.zeros(TOKENS, WIDTH))".to_owned());
            used.push("x = x + self.positions".to_owned());
        }
        Positions::Sine => {
            used.push("x = x + sines()".to_owned());
            classes.push(
                "def sines():
    \"\"\"Positions as sines (even features) and cosines (odd) of geometric wavelengths (Vaswani et al. 2017).\"\"\"
    even = torch.arange(0, WIDTH, 2)
    angles = torch.arange(TOKENS)[:, None] / 10_000 ** (even / WIDTH)
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)"
                    .to_owned(),
            );
        }
        Positions::None => {}
    }
    if spec.dropout > 0.0 {
        used.push(format!("x = F.dropout(x, {}, self.training)", number(spec.dropout)));
    }
    if spec.stochastic_depth > 0.0 {
        constants.push(("SKIPPED", number(spec.stochastic_depth)));
    }
    made.push(format!("self.blocks = {}", blocks(spec.stochastic_depth)));
    made.push("self.norm = nn.LayerNorm(WIDTH)".to_owned());
    used.push("for block in self.blocks:\n            x = block(x)\n        x = self.norm(x)".to_owned());
    match spec.pool {
        Pooling::Class => used.push("return self.head(x[:, 0])".to_owned()),
        Pooling::Mean => used.push("return self.head(x.mean(1))".to_owned()),
        Pooling::Seq => {
            made.push("self.pool = nn.Linear(WIDTH, 1)".to_owned());
            used.push("return self.head((self.pool(x).softmax(1) * x).sum(1))".to_owned());
        }
    }
    made.push("self.head = nn.Linear(WIDTH, OUTPUTS)".to_owned());
    classes.push(class_of("Transformer", "Images to tokens, layers over these, one answer.", &made, &used));
    Network { constants, classes, model: "model = Transformer()".to_owned() }
}

fn gpt(spec: &GptSpec, script: &Script<'_>) -> Network {
    let size = |name, value: usize| (name, value.to_string());
    let mut constants = vec![
        size("CONTEXT", spec.context),
        size("WIDTH", spec.width),
        size("DEPTH", spec.depth),
        size("HEADS", spec.heads),
        size("RATIO", spec.ratio),
        size("VOCABULARY", script.outputs()),
    ];
    let scaled = spec.base > 0;
    let mut branch = 1.0;
    if scaled {
        branch = 1.4 / (spec.depth.max(1) as f64).sqrt();
        constants.push(size("BASE", spec.base));
        constants.push(("BRANCH", "1.4 / DEPTH**0.5  # what a branch weighs (muP, constants of MiniCPM)".to_owned()));
    }
    let mut made = vec![
        "self.tokens = nn.Embedding(VOCABULARY, WIDTH)".to_owned(),
        "self.positions = nn.Parameter(torch.zeros(CONTEXT, WIDTH))".to_owned(),
        format!("self.blocks = {}", blocks(0.0)),
        "self.norm = nn.LayerNorm(WIDTH)".to_owned(),
    ];
    let embedded = "self.tokens(x) + self.positions";
    let mut used = vec![match scaled {
        true => format!("x = 12 * ({embedded})  # muP"),
        false => format!("x = {embedded}"),
    }];
    if spec.dropout > 0.0 {
        used.push(format!("x = F.dropout(x, {}, self.training)", number(spec.dropout)));
    }
    used.push("for block in self.blocks:\n            x = block(x)\n        x = self.norm(x)".to_owned());
    let logits = match spec.tied {
        true => "x @ self.tokens.weight.T",
        false => {
            made.push("self.head = nn.Linear(WIDTH, VOCABULARY)".to_owned());
            "self.head(x)"
        }
    };
    used.push(match scaled {
        true => format!("return {logits} * BASE / WIDTH  # muP"),
        false => format!("return {logits}"),
    });
    let mut classes = layer(script, false, true, spec.gelu, branch);
    classes.push(class_of("GPT", "Characters to scores of the next one, at every place.", &made, &used));
    Network { constants, classes, model: "model = GPT()".to_owned() }
}

fn class_of(name: &str, comment: &str, made: &[String], used: &[String]) -> String {
    let lines = |lines: &[String]| lines.iter().map(|line| format!("        {line}")).collect::<Vec<_>>().join("\n");
    format!(
        "class {name}(nn.Module):
    \"\"\"{comment}\"\"\"

    def __init__(self):
        super().__init__()
{}

    def forward(self, x):
{}",
        lines(made),
        lines(used)
    )
}
