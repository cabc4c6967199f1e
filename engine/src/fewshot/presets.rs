//! Sessions worth starting from, by name.

use super::{Embedding, FewshotSpec, Method, Source, Style};
use crate::text::Text;

/// A named session to start from.
#[derive(Debug, Clone, Copy)]
pub struct FewshotPreset {
    /// As in links: `preset=live`.
    pub id: &'static str,
    /// As on the page.
    pub label: &'static str,
    /// What there is to see, in one line.
    pub about: Text,
    build: fn() -> FewshotSpec,
}

impl FewshotPreset {
    /// The session itself.
    #[must_use]
    pub fn spec(&self) -> FewshotSpec {
        (self.build)()
    }
}

/// Every preset; the first is the default.
pub const FEWSHOT_PRESETS: &[FewshotPreset] = &[
    FewshotPreset {
        id: "stars-walk",
        label: "One letter a class",
        about: Text::new("Prototypes begin at one picture and walk to where their class is."),
        build: FewshotSpec::default,
    },
    FewshotPreset {
        id: "live",
        label: "Train an encoder live",
        about: Text::new("In a minute, from pixels' accuracy to nearly all right, on letters that it never saw."),
        build: || FewshotSpec {
            embedding: Embedding::Prototypical,
            method: Method::Prototype,
            ..FewshotSpec::default()
        },
    },
    FewshotPreset {
        id: "pixels",
        label: "What pixels can do",
        about: Text::new("The baseline: distances between the pictures themselves."),
        build: || FewshotSpec { embedding: Embedding::Pixels, method: Method::Prototype, ..FewshotSpec::default() },
    },
    FewshotPreset {
        id: "twenty-ways",
        label: "Twenty ways, strong warps",
        about: Text::new("Hard enough that methods differ."),
        build: || FewshotSpec { ways: 20, warp: 1.5, ..FewshotSpec::default() },
    },
    FewshotPreset {
        id: "uneven",
        label: "Uneven queries",
        about: Text::new("What is left of transductive methods' lead when classes are not equally frequent."),
        build: || FewshotSpec { alpha: 2.0, method: Method::PtMap, ..FewshotSpec::default() },
    },
    FewshotPreset {
        id: "domain-shift",
        label: "From one art style to another",
        about: Text::new("Emoji are shown in one style and asked for in another."),
        build: || FewshotSpec {
            data: Source::Emoji,
            support_style: Style::Noto,
            query_style: Style::Openmoji,
            queries: 1,
            ways: 10,
            warp: 0.5,
            embedding: Embedding::Prototypical,
            method: Method::BdCspn,
            ..FewshotSpec::default()
        },
    },
    FewshotPreset {
        id: "kanji",
        label: "Letters it never saw",
        about: Text::new("The shipped encoder learned from letters of many scripts; none of them was a kanji."),
        build: || FewshotSpec { data: Source::Kanji, ways: 20, ..FewshotSpec::default() },
    },
    FewshotPreset {
        id: "clipart",
        label: "What a drawing shows",
        about: Text::new(
            "Five drawings of each kind, by many hands, compared by what SqueezeNet learned from photographs.",
        ),
        build: || FewshotSpec {
            data: Source::Clipart,
            embedding: Embedding::Squeezenet,
            warp: 0.0,
            shots: 5,
            queries: 5,
            ..FewshotSpec::default()
        },
    },
    FewshotPreset {
        id: "own",
        label: "Teach it pictures of your own",
        about: Text::new("Draw, drop or take a few pictures of each class; it tells them apart at once."),
        build: || FewshotSpec { data: Source::Own, method: Method::Prototype, ..FewshotSpec::default() },
    },
    FewshotPreset {
        id: "photographs",
        label: "Teach it photographs",
        about: Text::new(
            "A few of each class, from files or the camera, compared by what SqueezeNet learned on ImageNet.",
        ),
        build: || FewshotSpec {
            data: Source::Own,
            embedding: Embedding::Squeezenet,
            method: Method::Prototype,
            ..FewshotSpec::default()
        },
    },
];

/// The preset of that id.
#[must_use]
pub fn fewshot_preset(id: &str) -> Option<&'static FewshotPreset> {
    FEWSHOT_PRESETS.iter().find(|preset| preset.id == id)
}
