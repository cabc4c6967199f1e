//! What colours mean, and their values under the current theme.

use engine::figure::Role;

/// A colour by its meaning; its value is a token of the style sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// This run's training.
    Train,
    /// Held-out data, or a limit.
    Test,
    /// Another run or a theory.
    Other,
    /// Learning rate.
    Rate,
    /// Batch size.
    Batch,
    /// Text.
    Ink,
    /// Quiet text.
    Soft,
    /// Grid lines and borders.
    Line,
    /// Behind everything.
    Panel,
    /// One of several classes that have no order.
    Class(u32),
}

/// Colours of unordered classes, told apart also with colour-blind eyes (after Okabe and Ito); one set serves both themes.
pub const CLASSES: [[u8; 3]; 10] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [230, 159, 0],
    [86, 180, 233],
    [120, 94, 190],
    [128, 128, 128],
    [140, 86, 75],
    [150, 150, 30],
];

impl Tone {
    /// The colour of a role.
    pub const fn of(role: Role) -> Self {
        match role {
            Role::Train => Self::Train,
            Role::Test | Role::Limit => Self::Test,
            Role::Other | Role::Theory => Self::Other,
            Role::Lr => Self::Rate,
            Role::Batch => Self::Batch,
        }
    }

    /// The colour of a run that is drawn behind the current one, whose own are those of training and test; also of a group of
    /// runs, by its place.
    pub const fn run(id: u32) -> Self {
        Self::Class(2 + id % 5)
    }

    /// As CSS writes it, in either theme.
    pub fn css(self) -> String {
        match self {
            Self::Class(class) => {
                let [r, g, b] = CLASSES[class as usize % CLASSES.len()];
                format!("rgb({r},{g},{b})")
            }
            tone => format!("var({})", tone.variable()),
        }
    }

    /// The style sheet's variable; a class has none and takes the quiet one.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Train => "--c-train",
            Self::Test => "--c-test",
            Self::Other => "--c-other",
            Self::Rate => "--c-rate",
            Self::Batch => "--c-batch",
            Self::Ink => "--ink",
            Self::Soft | Self::Class(_) => "--soft",
            Self::Line => "--line",
            Self::Panel => "--panel",
        }
    }
}

/// Values of all tones under the theme at the time of reading.
pub struct Palette(Vec<(Tone, [u8; 3])>);

impl Palette {
    /// Reads the style sheet's resolved values.
    pub fn read() -> Self {
        let style = web_sys::window().and_then(|window| {
            let root = window.document()?.document_element()?;
            window.get_computed_style(&root).ok()?
        });
        let tones = [
            Tone::Train,
            Tone::Test,
            Tone::Other,
            Tone::Rate,
            Tone::Batch,
            Tone::Ink,
            Tone::Soft,
            Tone::Line,
            Tone::Panel,
        ];
        let value = |tone: Tone| {
            let text = style.as_ref().and_then(|style| style.get_property_value(tone.variable()).ok());
            text.and_then(|text| parse(&text)).unwrap_or([128; 3])
        };
        Self(tones.map(|tone| (tone, value(tone))).to_vec())
    }

    /// Red, green and blue.
    pub fn rgb(&self, tone: Tone) -> [u8; 3] {
        match tone {
            Tone::Class(class) => CLASSES[class as usize % CLASSES.len()],
            _ => self.0.iter().find(|(known, _)| *known == tone).map_or([128; 3], |(_, rgb)| *rgb),
        }
    }

    /// A tone over another: `share` 0 is `below`, 1 is `above`.
    pub fn mix(&self, below: Tone, above: Tone, share: f64) -> [u8; 3] {
        let (below, above) = (self.rgb(below), self.rgb(above));
        let share = share.clamp(0.0, 1.0);
        std::array::from_fn(|i| (f64::from(below[i]) * (1.0 - share) + f64::from(above[i]) * share) as u8)
    }
}

/// `#rrggbb` or `rgb(r, g, b)`, the two forms in which browsers give a colour back.
fn parse(text: &str) -> Option<[u8; 3]> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix('#') {
        let channel = |i: usize| u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok();
        return Some([channel(0)?, channel(1)?, channel(2)?]);
    }
    let inside = text.split_once('(')?.1.trim_end_matches(')');
    let mut channels = inside.split([',', ' ']).filter_map(|part| part.trim().parse().ok());
    Some([channels.next()?, channels.next()?, channels.next()?])
}
