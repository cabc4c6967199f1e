//! The program that the page fetches when a person wants a run as a file for another tool.

use std::io::{Cursor, Write};

use logs::{EVENTS, Run, events, table};
use wasm_bindgen::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Everything happens in the functions below.
fn main() {}

fn failed(error: impl std::fmt::Display) -> JsError {
    JsError::new(&error.to_string())
}

/// The run in the lab's JSON, with the figures of its curvature, and where it opens.
fn read(run: &str, figures: &str, link: String) -> Result<Run, JsError> {
    let mut run: Run = serde_json::from_str(run).map_err(failed)?;
    run.link = link;
    run.read_curvature(&serde_json::from_str(figures).map_err(failed)?);
    Ok(run)
}

/// A run as a Parquet file.
///
/// # Errors
/// The texts are no run and no figures.
#[wasm_bindgen]
pub fn parquet(run: &str, figures: &str, link: String) -> Result<Vec<u8>, JsError> {
    read(run, figures, link).map(|run| table(&run))
}

/// A run as an archive of a folder, which has its name and in it an event file for TensorBoard. `now` is in milliseconds since 1970.
///
/// # Errors
/// The texts are no run and no figures.
#[wasm_bindgen]
pub fn tensorboard(run: &str, figures: &str, link: String, folder: &str, now: f64) -> Result<Vec<u8>, JsError> {
    let file = events(&read(run, figures, link)?, now);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let as_it_is = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    archive.start_file(format!("{folder}/{EVENTS}"), as_it_is).map_err(failed)?;
    archive.write_all(&file).map_err(failed)?;
    Ok(archive.finish().map_err(failed)?.into_inner())
}
