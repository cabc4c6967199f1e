//! The network in burn: its own modules, under the lab's names but where layers of an MLP are no structs of their own.

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
    pub constants: Vec<(&'static str, usize)>,
    /// Structs and functions.
    pub items: Vec<String>,
    /// The struct.
    pub name: String,
}

/// The struct of a network.
pub fn name(script: &Script<'_>) -> &'static str {
    match script.spec.model {
        ModelSpec::Mlp(_) => "Mlp",
        ModelSpec::Convnet(_) => "Convnet",
        ModelSpec::Gpt(_) => "Gpt",
        _ => "Transformer",
    }
}

/// Whether it has batch norm.
pub fn normalises(script: &Script<'_>) -> bool {
    super::has_batch_norm(&script.spec.model)
}

/// What burn calls the lab's parameters.
pub fn names(script: &Script<'_>) -> impl Fn(&str, &[usize]) -> Name + use<> {
    let plain = matches!(&script.spec.model, ModelSpec::Mlp(spec) if spec.norm == Norm::None);
    move |name, _| {
        let name = if plain { name.replace(".linear.", ".") } else { name.to_owned() };
        let name = name.replace(".layer_norm.", ".norm.").replace(".batch_norm.", ".norm.");
        let name = match name.rsplit_once('.') {
            Some((module, "mean")) => format!("{module}.running_mean"),
            Some((module, "variance")) => format!("{module}.running_var"),
            _ => name,
        };
        Name { name, transposed: false }
    }
}

/// The network.
pub fn written(script: &Script<'_>) -> Network {
    let mut network = match &script.spec.model {
        ModelSpec::Mlp(spec) => mlp(spec, script),
        ModelSpec::Convnet(spec) => convnet(spec, script),
        ModelSpec::Vit(spec) | ModelSpec::Cvt(spec) | ModelSpec::Cct(spec) => transformer(spec, script),
        ModelSpec::Gpt(spec) => gpt(spec, script),
    };
    match script.feed {
        Feed::Series { channels, window, horizon, target, .. } => {
            network.constants.extend([
                ("CHANNELS", *channels),
                ("WINDOW", *window),
                ("HORIZON", *horizon),
                ("TARGET", *target),
            ]);
        }
        Feed::Images { shape: [_, height, width], .. } => {
            network.constants.extend([("PIXELS", height * width), ("FEATURES", script.features())]);
        }
        Feed::Text { .. } => {}
        _ => network.constants.push(("FEATURES", script.features())),
    }
    if !script.sized {
        network.constants.push(("BATCH", script.first));
    }
    network
}

fn mlp(spec: &MlpSpec, script: &Script<'_>) -> Network {
    let widths: Vec<usize> = std::iter::once(script.features()).chain(spec.hidden.iter().copied()).collect();
    let pairs: Vec<String> = widths.windows(2).map(|pair| format!("[{}, {}]", pair[0], pair[1])).collect();
    let norm = match spec.norm {
        Norm::None => None,
        Norm::Layer => Some("LayerNorm"),
        Norm::Batch => Some("BatchNorm"),
    };
    let activation = match spec.activation {
        Activation::Relu => "activation::relu",
        Activation::Gelu => "activation::gelu",
        Activation::Tanh => "activation::tanh",
    };
    let mut items = Vec::new();
    let (of, make, apply) = match norm {
        None => (
            "Linear",
            "LinearConfig::new(inputs, outputs).init(device)".to_owned(),
            format!("{activation}(layer.forward(x))"),
        ),
        Some(norm) => {
            items
                .push(format!("#[derive(Module, Debug)]\nstruct Layer {{\n    linear: Linear,\n    norm: {norm},\n}}"));
            let make = format!(
                "Layer {{
            linear: LinearConfig::new(inputs, outputs).init(device),
            norm: {norm}Config::new(outputs).init(device),
        }}"
            );
            ("Layer", make, format!("{activation}(layer.norm.forward(layer.linear.forward(x)))"))
        }
    };
    let last = widths.last().copied().unwrap_or(1);
    let outputs = script.outputs();
    if spec.hidden.is_empty() {
        items.push(format!(
            "#[derive(Module, Debug)]
struct Mlp {{
    head: Linear,
}}

impl Mlp {{
    fn new(device: &Device) -> Self {{
        Self {{ head: LinearConfig::new({last}, {outputs}).init(device) }}
    }}

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {{
        self.head.forward(x)
    }}
}}"
        ));
    } else {
        items.push(format!(
            "#[derive(Module, Debug)]
struct Mlp {{
    layers: Vec<{of}>,
    head: Linear,
}}

impl Mlp {{
    fn new(device: &Device) -> Self {{
        let layer = |[inputs, outputs]: [usize; 2]| {make};
        let layers = [{}].map(layer).into();
        Self {{ layers, head: LinearConfig::new({last}, {outputs}).init(device) }}
    }}

    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {{
        for layer in &self.layers {{
            x = {apply};
        }}
        self.head.forward(x)
    }}
}}",
            pairs.join(", ")
        ));
    }
    Network { constants: vec![], items, name: "Mlp".to_owned() }
}

fn padded(padding: usize) -> String {
    format!("PaddingConfig2d::Explicit({padding}, {padding}, {padding}, {padding})")
}

fn convnet(spec: &ConvnetSpec, script: &Script<'_>) -> Network {
    let norm = spec.norm == Norm::Batch;
    let widths: Vec<usize> = std::iter::once(script.feed.example().0[0]).chain(spec.channels.iter().copied()).collect();
    let pairs: Vec<String> = widths.windows(2).map(|pair| format!("[{}, {}]", pair[0], pair[1])).collect();
    let (field, made, applied) = match norm {
        true => (
            "\n    norm: BatchNorm,",
            "\n            norm: BatchNormConfig::new(channels[1]).init(device),",
            "block.norm.forward(block.conv.forward(x))",
        ),
        false => ("", "", "block.conv.forward(x)"),
    };
    let bias = if norm { ".with_bias(false)" } else { "" };
    let (side, around) = (spec.kernel, padded(spec.kernel / 2));
    let last = widths.last().copied().unwrap_or(1);
    let items = vec![format!(
        "#[derive(Module, Debug)]
struct Block {{
    conv: Conv2d,{field}
}}

#[derive(Module, Debug)]
struct Convnet {{
    blocks: Vec<Block>,
    pool: MaxPool2d,
    head: Linear,
}}

impl Convnet {{
    fn new(device: &Device) -> Self {{
        let conv = |channels| Conv2dConfig::new(channels, [{side}, {side}]){bias};
        let block = |channels: [usize; 2]| Block {{
            conv: conv(channels).with_padding({around}).init(device),{made}
        }};
        Self {{
            blocks: [{}].map(block).into(),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            head: LinearConfig::new({last}, {}).init(device),
        }}
    }}

    fn forward(&self, mut x: Tensor<4>) -> Tensor<2> {{
        for block in &self.blocks {{
            x = self.pool.forward(activation::relu({applied}));
        }}
        self.head.forward(x.mean_dims(&[2, 3]).flatten(1, 3))
    }}
}}",
        pairs.join(", "),
        script.outputs()
    )];
    Network { constants: vec![], items, name: "Convnet".to_owned() }
}

/// The layer that image models and the GPT share.
fn layer(official: bool, causal: bool, gelu: Gelu, branch: Option<&str>) -> String {
    let gelu = match gelu {
        Gelu::Exact => "gelu",
        Gelu::Tanh => "gelu_approximate",
    };
    let weighed = |code: &str| match branch {
        Some(factor) => format!("{code} * {factor}"),
        None => code.to_owned(),
    };
    let bias = if official { ".with_bias(false)" } else { "" };
    let (argument, hidden, scores) = match causal {
        true => (
            ", hidden: &Tensor<2, Bool>",
            ", hidden",
            "\n        let scores = scores.mask_fill(hidden.clone().unsqueeze::<4>(), -1e9);",
        ),
        false => ("", "", ""),
    };
    let rest = match official {
        true => format!(
            "// In the order of CCT's code: the second norm is what the MLP adds to.
        let x = self.norm2.forward(x);
        let inner = activation::{gelu}(self.fc1.forward(x.clone()));
        x + {}",
            weighed("self.fc2.forward(inner)")
        ),
        false => format!(
            "let inner = activation::{gelu}(self.fc1.forward(self.norm2.forward(x.clone())));
        x + {}",
            weighed("self.fc2.forward(inner)")
        ),
    };
    let first = weighed(&format!("self.attend(self.norm1.forward(x){hidden})"));
    format!(
        "#[derive(Module, Debug)]
struct Layer {{
    norm1: LayerNorm,
    qkv: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}}

impl Layer {{
    fn new(device: &Device) -> Self {{
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        Self {{
            norm1: LayerNormConfig::new(WIDTH).init(device),
            qkv: LinearConfig::new(WIDTH, 3 * WIDTH){bias}.init(device),
            out: linear(WIDTH, WIDTH),
            norm2: LayerNormConfig::new(WIDTH).init(device),
            fc1: linear(WIDTH, RATIO * WIDTH),
            fc2: linear(RATIO * WIDTH, WIDTH),
        }}
    }}

    fn attend(&self, x: Tensor<3>{argument}) -> Tensor<3> {{
        let [batch, tokens, _] = x.dims();
        let parts = self.qkv.forward(x).chunk(3, 2).into_iter();
        let heads = |part: Tensor<3>| part.reshape([batch, tokens, HEADS, WIDTH / HEADS]).swap_dims(1, 2);
        let parts: Vec<Tensor<4>> = parts.map(heads).collect();
        let scores = parts[0].clone().matmul(parts[1].clone().transpose()) / ((WIDTH / HEADS) as f64).sqrt();{scores}
        let mixed = activation::softmax(scores, 3).matmul(parts[2].clone());
        self.out.forward(mixed.swap_dims(1, 2).reshape([batch, tokens, WIDTH]))
    }}

    fn forward(&self, x: Tensor<3>{argument}) -> Tensor<3> {{
        let x = x.clone() + {first};
        {rest}
    }}
}}"
    )
}

fn transformer(spec: &TransformerSpec, script: &Script<'_>) -> Network {
    let shape = script.feed.example().0;
    let grid = spec.token_grid(shape[1], shape[2]).unwrap_or([1, 1]);
    let class = spec.pool == Pooling::Class;
    let tokens = grid[0] * grid[1] + usize::from(class);
    let mut constants =
        vec![("WIDTH", spec.width), ("DEPTH", spec.depth), ("HEADS", spec.heads), ("RATIO", spec.ratio)];
    let (mut fields, mut made, mut used, mut items) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut before = Vec::new();
    let mut field = |kind: &str, name: &str, code: String| {
        fields.push(format!("{name}: {kind},"));
        made.push(format!("{name}: {code},"));
    };
    match spec.tokenizer {
        Tokenizer::Patch => {
            let (channels, side) = (shape[0], spec.patch);
            constants.push(("PATCH", side));
            field("Linear", "patch", format!("LinearConfig::new({channels} * PATCH * PATCH, WIDTH).init(device)"));
            used.push("let batch = x.dims()[0];".to_owned());
            used.push(format!(
                "let x = x.reshape([batch, {channels}, {}, PATCH, {}, PATCH]).permute([0, 2, 4, 1, 3, 5]);",
                grid[0], grid[1]
            ));
            used.push(format!(
                "let mut x = self.patch.forward(x.reshape([batch, {}, {channels} * PATCH * PATCH]));",
                grid[0] * grid[1]
            ));
        }
        Tokenizer::Conv => {
            let bias = if spec.conv_bias { "" } else { ".with_bias(false)" };
            let widths: Vec<String> = std::iter::once(shape[0].to_string())
                .chain((1..spec.blocks).map(|_| "64".to_owned()))
                .chain(std::iter::once("WIDTH".to_owned()))
                .collect();
            let pairs: Vec<String> = widths.windows(2).map(|pair| format!("[{}, {}]", pair[0], pair[1])).collect();
            let stride = if spec.conv_stride() == 1 {
                String::new()
            } else {
                format!(".with_stride([{}; 2])", spec.conv_stride())
            };
            let side = spec.kernel;
            before.push("let conv = |channels| {".to_owned());
            before.push(format!("    let conv = Conv2dConfig::new(channels, [{side}, {side}]){stride}{bias};"));
            before.push(format!("    conv.with_padding({}).init(device)", padded(spec.conv_padding())));
            before.push("};".to_owned());
            field("Vec<Conv2d>", "convs", format!("[{}].map(conv).into()", pairs.join(", ")));
            before.push("let pooling = MaxPool2dConfig::new([3, 3]).with_strides([2, 2]);".to_owned());
            field("MaxPool2d", "pooling", format!("pooling.with_padding({}).init()", padded(1)));
            used.push(
                "let block = |x, conv: &Conv2d| self.pooling.forward(activation::relu(conv.forward(x)));".to_owned(),
            );
            used.push("let mut x = self.convs.iter().fold(x, block).flatten::<3>(2, 3).swap_dims(1, 2);".to_owned());
        }
    }
    if class {
        field("Param<Tensor<2>>", "class", "Param::from_tensor(Tensor::zeros([1, WIDTH], device))".to_owned());
        used.push("let class = self.class.val().unsqueeze::<3>().expand([x.dims()[0], 1, WIDTH]);".to_owned());
        used.push("x = Tensor::cat(vec![class, x], 1);".to_owned());
    }
    match spec.positions {
        Positions::Learned => {
            constants.push(("TOKENS", tokens));
            field(
                "Param<Tensor<2>>",
                "positions",
                "Param::from_tensor(Tensor::zeros([TOKENS, WIDTH], device))".to_owned(),
            );
            used.push("x = x + self.positions.val().unsqueeze::<3>();".to_owned());
        }
        Positions::Sine => {
            constants.push(("TOKENS", tokens));
            items.push(
                "/// Positions as sines (even features) and cosines (odd) of geometric wavelengths (Vaswani et al. 2017).
fn sines(device: &Device) -> Tensor<3> {
    let value = |at: usize| {
        let (token, feature) = (at / WIDTH, at % WIDTH);
        let angle = token as f64 / 10_000f64.powf((feature - feature % 2) as f64 / WIDTH as f64);
        (if feature % 2 == 0 { angle.sin() } else { angle.cos() }) as f32
    };
    let values: Vec<f32> = (0..TOKENS * WIDTH).map(value).collect();
    Tensor::from_data(TensorData::new(values, [1, TOKENS, WIDTH]), device)
}"
                .to_owned(),
            );
            used.push("x = x.clone() + sines(&x.device());".to_owned());
        }
        Positions::None => {}
    }
    field("Vec<Layer>", "blocks", "(0..DEPTH).map(|_| Layer::new(device)).collect()".to_owned());
    field("LayerNorm", "norm", "LayerNormConfig::new(WIDTH).init(device)".to_owned());
    used.push("for block in &self.blocks {\n            x = block.forward(x);\n        }".to_owned());
    used.push("let x = self.norm.forward(x);".to_owned());
    used.push(match spec.pool {
        Pooling::Class => "let x = x.narrow(1, 0, 1);".to_owned(),
        Pooling::Mean => "let x = x.mean_dim(1);".to_owned(),
        Pooling::Seq => {
            field("Linear", "pool", "LinearConfig::new(WIDTH, 1).init(device)".to_owned());
            "let weights = activation::softmax(self.pool.forward(x.clone()).swap_dims(1, 2), 2);\n        let x = weights.matmul(x);"
                .to_owned()
        }
    });
    field("Linear", "head", format!("LinearConfig::new(WIDTH, {}).init(device)", script.outputs()));
    used.push("self.head.forward(x.flatten::<2>(1, 2))".to_owned());
    items.insert(0, layer(spec.order == NormOrder::Official, false, spec.gelu, None));
    items.push(structure("Transformer", "Tensor<4>", &fields, &before, &made, &used));
    Network { constants, items, name: "Transformer".to_owned() }
}

fn gpt(spec: &GptSpec, script: &Script<'_>) -> Network {
    let constants = vec![
        ("CONTEXT", spec.context),
        ("WIDTH", spec.width),
        ("DEPTH", spec.depth),
        ("HEADS", spec.heads),
        ("RATIO", spec.ratio),
        ("VOCABULARY", script.outputs()),
    ];
    // muP at its own base: rates are those of the recipe.
    let scaled = spec.base > 0;
    let mut fields = vec![
        "tokens: Embedding,".to_owned(),
        "positions: Param<Tensor<2>>,".to_owned(),
        "blocks: Vec<Layer>,".to_owned(),
        "norm: LayerNorm,".to_owned(),
    ];
    let mut made = vec![
        "tokens: EmbeddingConfig::new(VOCABULARY, WIDTH).init(device),".to_owned(),
        "positions: Param::from_tensor(Tensor::zeros([CONTEXT, WIDTH], device)),".to_owned(),
        "blocks: (0..DEPTH).map(|_| Layer::new(device)).collect(),".to_owned(),
        "norm: LayerNormConfig::new(WIDTH).init(device),".to_owned(),
    ];
    let logits = match spec.tied {
        true => "x.matmul(self.tokens.weight.val().transpose())",
        false => {
            fields.push("head: Linear,".to_owned());
            made.push("head: LinearConfig::new(WIDTH, VOCABULARY).init(device),".to_owned());
            "self.head.forward(x)"
        }
    };
    let embedded = "self.tokens.forward(x) + self.positions.val().unsqueeze::<3>()";
    let used = [
        "let [batch, context] = x.dims();".to_owned(),
        if scaled { format!("let mut x = ({embedded}) * 12.0;") } else { format!("let mut x = {embedded};") },
        "// What a place may not see: what comes later.".to_owned(),
        "let place = Tensor::<1, Int>::arange(0..context as i64, &x.device());".to_owned(),
        "let hidden = place.clone().reshape([1, context]).greater(place.reshape([context, 1]));".to_owned(),
        "for block in &self.blocks {\n            x = block.forward(x, &hidden);\n        }".to_owned(),
        "let x = self.norm.forward(x).reshape([batch * context, WIDTH]);".to_owned(),
        logits.to_owned(),
    ];
    let branch = scaled.then_some("(1.4 / (DEPTH as f64).sqrt())");
    let items =
        vec![layer(false, true, spec.gelu, branch), structure("Gpt", "Tensor<2, Int>", &fields, &[], &made, &used)];
    Network { constants, items, name: "Gpt".to_owned() }
}

fn structure(
    name: &str,
    input: &str,
    fields: &[String],
    before: &[String],
    made: &[String],
    used: &[String],
) -> String {
    let lines =
        |lines: &[String], indent: &str| lines.iter().map(|line| format!("{indent}{line}\n")).collect::<String>();
    format!(
        "#[derive(Module, Debug)]
struct {name} {{
{}}}

impl {name} {{
    fn new(device: &Device) -> Self {{
{}        Self {{
{}        }}
    }}

    fn forward(&self, x: {input}) -> Tensor<2> {{
{}    }}
}}",
        lines(fields, "    "),
        lines(before, "        "),
        lines(made, "            "),
        lines(used, "        ")
    )
}
