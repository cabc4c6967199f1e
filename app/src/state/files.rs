//! Files that a person drops on the page or picks: data of their own, weights, links and runs.

use engine::protocol::{self, Choice, Command, DataCard, DataCommand, ImportOptions, RunCommand};
use engine::spec::{Content, DataSet, DataSpec, Link as Address, Page};
use js_sys::{Array, Promise, Uint8Array};
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, DataTransfer, File, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry};

use super::{Dialog, Lab, keep};
use crate::controls::camera;
use crate::link::words;

/// Files with their paths.
type Files = Vec<(String, Uint8Array)>;

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
        if self.page.get_untracked() == Page::Fewshot {
            self.own_files(files);
            return;
        }
        let ending = first.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_ascii_lowercase());
        match ending.as_str() {
            "json" if files.len() == 1 => self.open_json(&name, content),
            "safetensors" if files.len() == 1 => {
                self.wake_lab();
                self.tell();
                self.ask_with(RunCommand::ImportWeights { file: protocol::Blob(0) }, vec![content.clone()]);
                self.toast(format!("Reading the weights in {name} …"), false);
            }
            "png" | "jpg" | "jpeg" | "webp" | "gif" if files.len() == 1 && self.pad.with_untracked(Option::is_some) => {
                match Blob::new_with_u8_array_sequence(&Array::of1(content)) {
                    Ok(blob) => self.try_file(name, blob),
                    Err(error) => self.toast(words(&error), true),
                }
            }
            _ => self.import(name, files),
        }
    }

    /// Has a picture told apart.
    pub fn try_file(self, name: String, file: Blob) {
        spawn_local(async move {
            match camera::decode(&file).await {
                Ok(picture) => self.show_picture(picture),
                Err(reason) => self.toast(format!("{name} is no picture that can be read: {reason}"), true),
            }
        });
    }

    /// Reads files as a data set of the person's own. The engine says what they are, and asks where there is a choice.
    fn import(self, name: String, files: Files) {
        self.wake_lab();
        keep::remember_file(&name, &files);
        let named = files.iter().enumerate().map(|(i, (path, _))| (path.clone(), protocol::Blob(i))).collect();
        let buffers: Vec<Uint8Array> = files.into_iter().map(|(_, bytes)| bytes).collect();
        self.toast(format!("Reading {name} …"), false);
        self.link.send(&Command::Data(DataCommand::Import { name, files: named }), &buffers);
    }

    /// What there is to choose about a file that was read. A link that waits for the file has chosen already; a file that
    /// the page sent by itself belongs to such a link.
    pub(super) fn asked(self, choice: Choice) {
        if !keep::brought() {
            keep::hold(&choice.hash);
            return;
        }
        if self.awaits(&choice.hash) {
            self.goes_on(&choice.hash);
        } else {
            self.refusal.set(None);
            self.dialog.set(Some(Dialog::Columns(choice)));
        }
    }

    /// A file was read as a data set.
    pub(super) fn imported(self, data: DataSpec, card: DataCard) {
        if !keep::brought() {
            keep::hold(&data.hash);
            if self.spec.with_untracked(|spec| spec.data == data) {
                self.card.set(Some(card));
            }
            return;
        }
        if self.chooses() {
            self.dialog.set(None);
        }
        if self.awaits(&data.hash) {
            self.goes_on(&data.hash);
            return;
        }
        keep::file_read(self, &data.hash);
        let mut spec = super::effective(&self.spec.get_untracked());
        spec.data = data;
        for issue in spec.sanitize() {
            self.complain(issue);
        }
        if card.content == Content::Table && card.classes.is_empty() {
            // Nobody has asked for the loss of classes here, so nothing is to be said of it.
            spec.without_classes();
        }
        let title = card.title.clone();
        self.adopt(spec);
        self.card.set(Some(card));
        self.toast(format!("{title} was read. It stays on this machine."), false);
    }

    /// Whether the current recipe names this file and cannot be built without it.
    fn awaits(self, hash: &str) -> bool {
        let named = self.spec.with_untracked(|spec| spec.data.set == DataSet::Own && spec.data.hash == hash);
        named && self.summary.with_untracked(Option::is_none)
    }

    /// Builds the recipe that was waiting for a file.
    fn goes_on(self, hash: &str) {
        keep::file_read(self, hash);
        self.untell();
        self.tell();
        self.toast("This is the file that the link needs.", false);
    }

    /// Whether a person is choosing what of a file is used.
    pub(super) fn chooses(self) -> bool {
        self.dialog.with_untracked(|dialog| matches!(dialog, Some(Dialog::Columns(_))))
    }

    /// The dialog's answer. The dialog stays until it has been taken, and says so where it is refused.
    pub fn choose(self, options: ImportOptions) {
        keep::expect();
        self.refusal.set(None);
        self.link.send(&Command::Data(DataCommand::Choose { options }), &[]);
    }

    /// A run or recipe as JSON.
    fn open_json(self, name: &str, content: &Uint8Array) {
        let Ok(text) = String::from_utf8(content.to_vec()) else {
            self.toast(format!("{name} is not UTF-8 text."), true);
            return;
        };
        match keep::read_run(&text) {
            Some((run, series)) => self.add_run(run, series),
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

pub(super) async fn bytes(file: &File) -> Result<Uint8Array, String> {
    let buffer = JsFuture::from(file.array_buffer()).await.map_err(|error| words(&error))?;
    Ok(Uint8Array::new(&buffer))
}
