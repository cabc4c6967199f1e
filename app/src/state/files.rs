//! Files that a person drops on the page or picks: data of their own, weights, links and runs.

use engine::protocol::{Blob, Command, ImportOptions};
use engine::spec::{Content, Link as Address, Page};
use js_sys::{Array, Promise, Uint8Array};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{DataTransfer, File, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry};

use super::{Dialog, Lab, keep};
use crate::link::words;

/// A table whose columns are being chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The file's name.
    pub name: String,
    /// Its columns, as its first line names them.
    pub columns: Vec<String>,
    /// A number under which the bytes wait.
    pub ticket: u32,
}

/// Files with their paths.
type Files = Vec<(String, Uint8Array)>;

thread_local! {
    /// Bytes that wait for a dialog's answer.
    static WAITING: std::cell::RefCell<Option<(u32, String, Files)>> = const { std::cell::RefCell::new(None) };
}

/// At most so many bytes of a table are looked at for the names of its columns.
const HEAD: u32 = 64 * 1024;

impl Lab {
    /// Takes in what was dropped. Its entries must be read before the event ends.
    pub fn dropped(self, transfer: &DataTransfer) {
        let items = transfer.items();
        let entries: Vec<FileSystemEntry> =
            (0..items.length()).filter_map(|i| items.get(i)?.webkit_get_as_entry().ok().flatten()).collect();
        if entries.is_empty() {
            let files = transfer.files();
            self.picked(
                files.map(|files| (0..files.length()).filter_map(|i| files.get(i)).collect()).unwrap_or_default(),
            );
            return;
        }
        spawn_local(async move {
            let name = entries.first().map(FileSystemEntry::name).unwrap_or_default();
            let mut files = Files::new();
            for entry in entries {
                if let Err(reason) = walk(entry, &mut files).await {
                    self.toast(format!("{name} could not be read: {reason}"), true);
                    return;
                }
            }
            self.received(name, files);
        });
    }

    /// Takes in files that were picked in a dialog.
    pub fn picked(self, files: Vec<File>) {
        spawn_local(async move {
            let mut read = Files::new();
            for file in files {
                match bytes(&file).await {
                    Ok(bytes) => read.push((file.name(), bytes)),
                    Err(reason) => {
                        self.toast(format!("{} could not be read: {reason}", file.name()), true);
                        return;
                    }
                }
            }
            let name = read.first().map(|(name, _)| name.clone()).unwrap_or_default();
            self.received(name, read);
        });
    }

    /// Sends files where their kind says.
    fn received(self, name: String, files: Files) {
        let Some((first, content)) = files.first() else {
            self.toast(format!("There is no file in {name}."), true);
            return;
        };
        let ending = first.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_ascii_lowercase());
        match ending.as_str() {
            "json" if files.len() == 1 => self.open_json(&name, content),
            "safetensors" if files.len() == 1 => {
                let run = self.run.get_untracked();
                self.tell();
                self.link.send(&Command::ImportWeights { run, file: Blob(0) }, std::slice::from_ref(content));
                self.toast(format!("Reading the weights in {name} …"), false);
            }
            "csv" | "tsv" if files.len() == 1 => self.ask_columns(name, files),
            _ => self.import(name, files, ImportOptions::default()),
        }
    }

    /// Reads files as a data set of the person's own.
    fn import(self, name: String, files: Files, options: ImportOptions) {
        keep::remember_file(&name, &options, &files);
        let named = files.iter().enumerate().map(|(i, (path, _))| (path.clone(), Blob(i))).collect();
        let buffers: Vec<Uint8Array> = files.into_iter().map(|(_, bytes)| bytes).collect();
        self.link.send(&Command::ImportData { name, files: named, options }, &buffers);
    }

    /// Asks which columns to use. A file without a readable first line goes on to the engine, which says what is wrong.
    fn ask_columns(self, name: String, files: Files) {
        let columns = files.first().map(|(_, bytes)| header(bytes)).unwrap_or_default();
        if columns.len() < 2 {
            self.import(name, files, ImportOptions::default());
            return;
        }
        let ticket = js_sys::Date::now() as u32;
        WAITING.set(Some((ticket, name.clone(), files)));
        self.dialog.set(Some(Dialog::Columns(Table { name, columns, ticket })));
    }

    /// The dialog's answer.
    pub fn use_columns(self, ticket: u32, target: String, columns: Vec<String>, series: bool) {
        let content = Some(if series { Content::Series } else { Content::Table });
        if let Some((known, name, files)) = WAITING.take()
            && known == ticket
        {
            self.import(name, files, ImportOptions { content, target, columns });
        }
    }

    /// A run or recipe as JSON.
    fn open_json(self, name: &str, content: &Uint8Array) {
        let Ok(text) = String::from_utf8(content.to_vec()) else {
            self.toast(format!("{name} is not UTF-8 text."), true);
            return;
        };
        match keep::read_run(&text) {
            Some((spec, state, series)) => self.add_run(spec, state, series),
            None => {
                let address = Address::parse(text.trim());
                if address.issues.iter().any(|issue| issue.path.is_empty()) {
                    let why = address.issues.first().map_or("", |issue| &issue.message);
                    self.toast(format!("{name}: {why}"), true);
                    return;
                }
                self.page.set(Page::Lab);
                self.preset.set(address.preset);
                self.issues.set(address.issues);
                self.adopt(address.spec);
            }
        }
    }
}

/// All files of an entry, folders first to last by name.
async fn walk(entry: FileSystemEntry, into: &mut Files) -> Result<(), String> {
    let mut stack = vec![entry];
    while let Some(entry) = stack.pop() {
        if entry.is_file() {
            let entry: FileSystemFileEntry = entry.unchecked_into();
            let promise = Promise::new(&mut |resolve, reject| {
                entry.file_with_callback_and_callback(&resolve, &reject);
            });
            let file = JsFuture::from(promise).await.map_err(|error| words(&error))?;
            let path = entry.full_path().trim_start_matches('/').to_owned();
            if !path.rsplit('/').next().unwrap_or_default().starts_with('.') {
                into.push((path, bytes(&file.unchecked_into()).await?));
            }
        } else {
            let folder: FileSystemDirectoryEntry = entry.unchecked_into();
            let reader = folder.create_reader();
            let mut children = Vec::new();
            // A reader gives its entries in parts, the last of which is empty.
            loop {
                let promise = Promise::new(&mut |resolve, reject| {
                    // A failure to begin is reported through the second callback.
                    let _ = reader.read_entries_with_callback_and_callback(&resolve, &reject);
                });
                let part = JsFuture::from(promise).await.map_err(|error| words(&error))?;
                let part = Array::from(&part);
                if part.length() == 0 {
                    break;
                }
                for entry in part.iter().map(|entry| entry.unchecked_into::<FileSystemEntry>()) {
                    let place = children.partition_point(|known: &FileSystemEntry| known.name() < entry.name());
                    children.insert(place, entry);
                }
            }
            stack.extend(children.into_iter().rev());
        }
    }
    Ok(())
}

async fn bytes(file: &File) -> Result<Uint8Array, String> {
    let buffer = JsFuture::from(file.array_buffer()).await.map_err(|error| words(&error))?;
    Ok(Uint8Array::new(&buffer))
}

/// Names of the columns in a table's first line: separated by comma, semicolon or tab, perhaps quoted.
fn header(bytes: &Uint8Array) -> Vec<String> {
    let head = bytes.subarray(0, bytes.length().min(HEAD)).to_vec();
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).map(columns).unwrap_or_default()
}

fn columns(line: &str) -> Vec<String> {
    let line = line.trim_start_matches('\u{feff}').trim_end_matches('\r');
    let count = |separator: char| line.chars().filter(|c| *c == separator).count();
    let separator = [',', ';', '\t'].into_iter().max_by_key(|separator| count(*separator)).unwrap_or(',');
    let mut names = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c == separator && !quoted => names.push(String::new()),
            c => names.last_mut().into_iter().for_each(|name| name.push(c)),
        }
    }
    names.into_iter().map(|name| name.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn first_lines_name_columns() {
        assert_eq!(columns("a,b,c\r"), ["a", "b", "c"]);
        assert_eq!(columns("\u{feff}x;\"y; z\";k"), ["x", "y; z", "k"]);
        assert_eq!(columns("one\ttwo"), ["one", "two"]);
        assert_eq!(columns("alone"), ["alone"]);
    }
}
