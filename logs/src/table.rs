//! Parquet: a row for every moment at which anything is known, a column a quantity, gaps where it is not.
//!
//! What we need of the format is small: one group of rows, one page a column, nothing compressed. The crate that has all of it would
//! turn on features of crates that burn is built on, and so have all of that built twice.

use std::collections::BTreeSet;

use crate::run::{Curve, Run, VERSION};
use crate::thrift::{Field, Struct, varint};

const MAGIC: &[u8] = b"PAR1";
const STEP: &str = "step";

// Numbers that the format gives to its types, encodings and the like.
const INT64: i32 = 2;
const FLOAT: i32 = 4;
const DOUBLE: i32 = 5;
const REQUIRED: i32 = 0;
const OPTIONAL: i32 = 1;
const DATA_PAGE: i32 = 0;
const UNCOMPRESSED: i32 = 0;
const PLAIN: i32 = 0;
const RUN_LENGTHS: i32 = 3;

/// A column's place and size in the file.
struct Chunk<'a> {
    name: &'a str,
    kind: i32,
    repetition: i32,
    offset: usize,
    bytes: usize,
}

/// A run as a Parquet file. Columns have the names of the lab's CSV; `step` counts the updates done before. Its metadata say by
/// `minibatch.link`, `minibatch.seed`, `minibatch.version` and `minibatch.spec` what makes the run again.
#[must_use]
pub fn table(run: &Run) -> Vec<u8> {
    let curves = run.curves();
    let steps: BTreeSet<u64> = curves.iter().flat_map(|curve| &curve.points).map(|(step, _)| *step).collect();
    let steps: Vec<u64> = steps.into_iter().collect();
    let mut file = MAGIC.to_vec();
    let mut chunks = vec![];
    let mut put = |name, kind, repetition, content: Vec<u8>| {
        let offset = file.len();
        file.extend(page(content, steps.len()));
        chunks.push(Chunk { name, kind, repetition, offset, bytes: file.len() - offset });
    };
    put(STEP, INT64, REQUIRED, steps.iter().flat_map(|step| step.to_le_bytes()).collect());
    for curve in &curves {
        let kind = if curve.single { FLOAT } else { DOUBLE };
        put(&curve.column, kind, OPTIONAL, [known(curve, &steps), numbers(curve)].concat());
    }
    let head = head(run, &chunks, steps.len());
    file.extend_from_slice(&head);
    file.extend_from_slice(&(head.len() as u32).to_le_bytes());
    file.extend_from_slice(MAGIC);
    file
}

/// Which rows have a number, as lengths of runs of such that have and such that have not.
fn known(curve: &Curve<'_>, steps: &[u64]) -> Vec<u8> {
    let mut points = curve.points.iter().peekable();
    let known: Vec<bool> = steps.iter().map(|row| points.next_if(|(step, _)| step == row).is_some()).collect();
    let mut runs = vec![];
    for run in known.chunk_by(|a, b| a == b) {
        varint(&mut runs, (run.len() as u64) << 1);
        runs.push(u8::from(run[0]));
    }
    [&(runs.len() as u32).to_le_bytes(), runs.as_slice()].concat()
}

fn numbers(curve: &Curve<'_>) -> Vec<u8> {
    let values = curve.points.iter().map(|(_, value)| *value);
    if curve.single {
        values.flat_map(|value| (value as f32).to_le_bytes()).collect()
    } else {
        values.flat_map(f64::to_le_bytes).collect()
    }
}

fn page(content: Vec<u8>, rows: usize) -> Vec<u8> {
    let bytes = Field::I32(content.len() as i32);
    let about = Struct::default()
        .with(1, Field::I32(rows as i32))
        .with(2, Field::I32(PLAIN))
        .with(3, Field::I32(RUN_LENGTHS))
        .with(4, Field::I32(RUN_LENGTHS));
    let head = Struct::default()
        .with(1, Field::I32(DATA_PAGE))
        .with(2, Field::I32(content.len() as i32))
        .with(3, bytes)
        .with(5, Field::Struct(about));
    [head.end(), content].concat()
}

/// What stands at the end of the file: its columns and where they are, and where the numbers come from.
fn head(run: &Run, chunks: &[Chunk<'_>], rows: usize) -> Vec<u8> {
    let root = Struct::default().with(4, Field::Text("run")).with(5, Field::I32(chunks.len() as i32));
    let columns = chunks.iter().map(|chunk| {
        let about = Struct::default().with(1, Field::I32(chunk.kind)).with(3, Field::I32(chunk.repetition));
        about.with(4, Field::Text(chunk.name))
    });
    let schema = std::iter::once(root).chain(columns).collect();
    let places = chunks.iter().map(|chunk| {
        let about = Struct::default()
            .with(1, Field::I32(chunk.kind))
            .with(2, Field::Numbers(&[PLAIN, RUN_LENGTHS]))
            .with(3, Field::Texts(&[chunk.name]))
            .with(4, Field::I32(UNCOMPRESSED))
            .with(5, Field::I64(rows as i64))
            .with(6, Field::I64(chunk.bytes as i64))
            .with(7, Field::I64(chunk.bytes as i64))
            .with(9, Field::I64(chunk.offset as i64));
        Struct::default().with(2, Field::I64(0)).with(3, Field::Struct(about))
    });
    let all: usize = chunks.iter().map(|chunk| chunk.bytes).sum();
    let group = Struct::default()
        .with(1, Field::Structs(places.collect()))
        .with(2, Field::I64(all as i64))
        .with(3, Field::I64(rows as i64));
    let origin = run.origin().into_iter().chain([("spec", run.spec.to_string())]);
    let metadata = origin.map(|(name, value)| {
        Struct::default().with(1, Field::Text(&format!("minibatch.{name}"))).with(2, Field::Text(&value))
    });
    Struct::default()
        .with(1, Field::I32(1))
        .with(2, Field::Structs(schema))
        .with(3, Field::I64(rows as i64))
        .with(4, Field::Structs(vec![group]))
        .with(5, Field::Structs(metadata.collect()))
        .with(6, Field::Text(&format!("minibatch version {}", VERSION)))
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Evaluation, Reading, Steps};

    fn run() -> Run {
        Run {
            link: "#lab?v=1".into(),
            spec: serde_json::json!({ "seed": 7 }),
            steps: Steps { loss: vec![Some(0.5), None], lr: vec![Some(0.5), Some(0.25)], ..Steps::default() },
            evaluations: vec![Evaluation { step: 2, loss: Some(0.1), accuracy: None }],
            readings: vec![Reading { tag: "curvature/eigenvalues/λ1".into(), points: vec![(1, 3.5), (9, f64::NAN)] }],
            ..Run::default()
        }
    }

    fn contains(file: &[u8], part: &[u8]) -> bool {
        file.windows(part.len()).any(|bytes| bytes == part)
    }

    #[test]
    fn a_file_is_framed_and_names_what_it_holds() {
        let file = table(&run());
        assert_eq!((&file[..4], &file[file.len() - 4..]), (MAGIC, MAGIC));
        let length = u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap()) as usize;
        let head = &file[file.len() - 8 - length..file.len() - 8];
        for text in
            ["loss", "lr", "test_loss", "curvature_eigenvalues_λ1", "minibatch.link", "#lab?v=1", "minibatch.seed"]
        {
            assert!(contains(head, text.as_bytes()), "{text}");
        }
        assert!(!contains(head, b"accuracy"), "a column without a number");
    }

    #[test]
    fn a_page_has_a_head_the_gaps_and_the_numbers() {
        let file = table(&run());
        // Three rows: a head that says so; 0, 1, 2.
        let mut step = vec![0x15, 0, 0x15, 48, 0x15, 48, 0x2c, 0x15, 6, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
        step.extend([0_u64, 1, 2].iter().flat_map(|step| step.to_le_bytes()));
        assert_eq!(file[4..4 + step.len()], step);
        // The loss: one number, then two gaps.
        let mut loss = vec![4, 0, 0, 0, 2, 1, 4, 0];
        loss.extend(0.5_f32.to_le_bytes());
        assert!(contains(&file, &loss));
        // The reading of the curvature: a gap, a number of double precision, a gap.
        let mut sharpness = vec![6, 0, 0, 0, 2, 0, 2, 1, 2, 0];
        sharpness.extend(3.5_f64.to_le_bytes());
        assert!(contains(&file, &sharpness));
    }
}
