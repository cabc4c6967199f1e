//! Photographs of a person's own, seen by SqueezeNet.

use std::collections::BTreeMap;

use engine::cpu::CpuExecutor;
use engine::data::read_pack_file;
use engine::executor::AnyExecutor;
use engine::numeric::norm;
use engine::tape::{Breathless, Home, Play};

use super::*;
use crate::encoder::{NET, embed, read_weights, squeezenet};

/// Four cuts of each of ten photographs (`scripts/data/photographs.py`).
const PHOTOGRAPHS: &[u8] = include_bytes!("photographs.zip");

/// Vectors of a picture as NumPy's arithmetic on the published parameters has them, in f64.
#[test]
fn features_are_those_of_the_published_network() {
    let plane = |c: usize| (0..96 * 96).map(move |at| (at / 96, at % 96, c));
    let value = |(y, x, c): (usize, usize, usize)| ((x * (c + 2) + y * (3 - c) + x * y / (7 + c)) % 256) as u8;
    let picture: Vec<u8> = (0..3).flat_map(plane).map(value).collect();
    let vectors = pollster::block_on(async {
        let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
        let mut play = Play::new(&home, Breathless, 1).unwrap();
        let step = play.add(squeezenet::embedding_step().unwrap()).await.unwrap();
        let theta = read_weights(&read_pack_file(squeezenet::FILE).unwrap()).unwrap();
        play.write(&format!("{NET}.theta"), &theta).unwrap();
        embed(&mut play, step, &picture.repeat(5), squeezenet::FORM).await.unwrap()
    });
    assert_eq!(vectors.len(), 5 * 512);
    for vector in vectors.chunks_exact(512) {
        for (place, expected) in [(0, 0.0), (2, 0.050812), (6, 0.106616), (8, 0.006681), (10, 0.08435), (114, 0.225039)]
        {
            assert!((vector[place] - expected).abs() < 5e-4, "{place}: {} is not {expected}", vector[place]);
        }
        assert!((vector.iter().sum::<f32>() - 10.88011).abs() < 5e-3 && (norm(vector) - 1.0).abs() < 1e-5);
    }
}

/// Own photographs: how many of 40 the others of their classes classify correctly, by SqueezeNet and by pixels; another
/// embedding finds pictures as they were given; what is none of these is told by the photographs themselves.
#[test]
fn squeezenet_tells_photographs_apart_where_pixels_do_not() {
    let mut page = Page::new(|spec| (spec.data, spec.embedding) = (Source::Own, Embedding::Pixels));
    let right = |page: &Page| {
        let heard = page.heard();
        let state = heard.into_iter().rev().find_map(|(event, blobs)| match event {
            FewshotEvent::Own(state) => Some((state, blobs)),
            _ => None,
        });
        let (state, blobs) = state.unwrap();
        let right: usize = state.classes.iter().filter_map(|class| class.right).sum();
        (right, state, blobs)
    };
    page.heard();
    let files = vec![("photographs.zip".to_owned(), Blob(0))];
    page.say_with(FewshotCommand::Own(OwnCommand::Import { files, class: None }), vec![PHOTOGRAPHS.to_vec()]);
    let (by_pixels, state, blobs) = right(&page);
    assert_eq!((state.classes.len(), state.pictures.count, blobs[0].len()), (10, 40, 40 * 784));
    let spec = FewshotSpec {
        data: Source::Own,
        embedding: Embedding::Squeezenet,
        method: Method::SimpleShot,
        ..FewshotSpec::default()
    };
    page.say(FewshotCommand::Open { spec: Box::new(spec) });
    let (by_features, state, blobs) = right(&page);
    assert!(by_features >= by_pixels + 8 && by_features >= 36, "{by_features} of 40, by pixels {by_pixels}");
    assert_eq!((state.pictures.channels, state.pictures.height, blobs[0].len()), (3, 48, 40 * 3 * 48 * 48));
    let rejection = state.rejection.unwrap();
    assert!(rejection.false_alarms <= 0.2 && rejection.misses <= 0.2, "{rejection:?}");
    // A picture of a class is known, noise is none of these.
    let mut asked = BTreeMap::new();
    for (id, noise) in [(1_u32, false), (2, true)] {
        let side = 64;
        let mut state = 1_u32;
        let pixels: Vec<u8> = (0..side * side * 3)
            .map(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if noise { (state >> 24) as u8 } else { [150, 110, 90][at % 3] }
            })
            .collect();
        let picture = Raw { width: side, height: side, channels: 3, pixels: Blob(0) };
        page.say_with(FewshotCommand::Own(OwnCommand::Predict { id, picture }), vec![pixels]);
        for (event, _) in page.heard() {
            if let FewshotEvent::Prediction(prediction) = event {
                asked.insert(id, prediction.class);
            }
        }
    }
    assert_eq!((asked.len(), asked[&2]), (2, None), "noise shows none of the ten");
    // What is saved comes back as it was.
    page.own(OwnCommand::Save);
    let file = page.heard().pop().unwrap().1.remove(0);
    page.own(OwnCommand::Clear);
    page.heard();
    page.say_with(FewshotCommand::Own(OwnCommand::Load { file: Blob(0) }), vec![file]);
    let (again, loaded, _) = right(&page);
    assert_eq!((again, loaded.classes), (by_features, state.classes));
}
