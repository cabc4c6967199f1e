//! Zip archives, with bounds that no archive can talk its way around.

use std::io::{Cursor, Read};

use super::{MAX_BYTES, names};
use crate::data::DataError;

/// Most entries of an archive.
const MAX_ENTRIES: usize = 200_000;

/// All files of an archive, by path (folders parted by `/`), in the archive's order.
pub(super) fn inflate(name: &str, bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, DataError> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| DataError::new(name, format!("is not a readable zip archive: {error}")))?;
    if archive.len() > MAX_ENTRIES {
        let reason = format!("has {} entries; at most {MAX_ENTRIES} can be read", archive.len());
        return Err(DataError::new(name, reason));
    }
    let mut files = Vec::with_capacity(archive.len());
    let mut left = MAX_BYTES;
    for index in 0..archive.len() {
        let mut entry = archive
            .by_index(index)
            .map_err(|error| DataError::new(format!("{name}, entry {}", index + 1), error.to_string()))?;
        if !entry.is_file() {
            continue;
        }
        let path = path(&entry);
        if path.is_empty() {
            continue;
        }
        let place = format!("{name}, entry {path}");
        let mut content = Vec::new();
        // What is read counts, not the size that the archive claims; one byte more than is left shows an excess.
        entry
            .by_ref()
            .take(left as u64 + 1)
            .read_to_end(&mut content)
            .map_err(|error| DataError::new(&place, format!("is damaged: {error}")))?;
        left = left.checked_sub(content.len()).ok_or_else(|| {
            DataError::new(&place, format!("with it the archive inflates to more than {} MB", MAX_BYTES >> 20))
        })?;
        files.push((path, content));
    }
    if files.is_empty() {
        return Err(DataError::new(name, "is an archive without files"));
    }
    Ok(files)
}

/// The path of an entry: UTF-8 wherever it can be, as many programs write it without saying so; empty for a folder.
fn path<R: Read>(entry: &zip::read::ZipFile<'_, R>) -> String {
    let path = std::str::from_utf8(entry.name_raw()).map_or_else(|_| entry.name().to_owned(), str::to_owned);
    let path = path.replace('\\', "/");
    if path.ends_with('/') {
        return String::new();
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    names::composed(&parts.join("/"))
}
