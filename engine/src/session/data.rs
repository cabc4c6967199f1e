//! Data sets at hand: packs fetched once, own files read once.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Host, SessionError};
use crate::data::{self, Data, import};
use crate::protocol::{DataCommand, DataEvent, Event, ImportOptions, Phase};
use crate::spec::{DataSet, DataSpec, RunSpec};

/// What was fetched, read or generated so far.
#[derive(Default)]
pub struct Shelf {
    /// Address of the lab, with a final slash; the packs lie below it.
    pub base: String,
    /// Pack files by name.
    packs: BTreeMap<String, Rc<Vec<u8>>>,
    /// Own files by hash.
    own: BTreeMap<String, import::OwnFile>,
    /// Hash of the file that was asked about last.
    last_asked: String,
    /// The same, as long as nothing is known to need it.
    asked: Option<String>,
    /// The last data set, with the spec and seed that it was made for.
    last: Option<(DataSpec, u64, Rc<Data>)>,
}

impl Shelf {
    /// The data set of a spec; fetches its pack if need be.
    pub async fn get(&mut self, host: &impl Host, spec: &RunSpec) -> Result<Rc<Data>, SessionError> {
        if let Some((made_for, seed, data)) = &self.last
            && *made_for == spec.data
            && *seed == spec.seed
        {
            return Ok(data.clone());
        }
        let data = if spec.data.set == DataSet::Own {
            let file = self.own.get(&spec.data.hash).ok_or_else(|| {
                SessionError::Data(format!(
                    "this link needs the file {} (it never leaves the browser it is opened in): drop it on the page",
                    spec.data.file
                ))
            })?;
            let data = file.load(&spec.data, spec.seed).map_err(refuse)?;
            self.asked.take_if(|asked| *asked == spec.data.hash);
            data
        } else {
            let pack = match data::pack_file(spec.data.set) {
                Some(name) => Some(self.pack(host, &name).await?),
                None => None,
            };
            data::load(&spec.data, spec.seed, pack.as_ref().map(|pack| pack.as_slice())).map_err(refuse)?
        };
        let data = Rc::new(data);
        self.last = Some((spec.data.clone(), spec.seed, data.clone()));
        Ok(data)
    }

    /// A file of the folder of packs; fetched once.
    pub async fn pack(&mut self, host: &impl Host, name: &str) -> Result<Rc<Vec<u8>>, SessionError> {
        if let Some(pack) = self.packs.get(name) {
            return Ok(pack.clone());
        }
        let arrived = |fraction| {
            let message = format!("fetching {name}");
            host.emit(Event::Progress { run: None, phase: Phase::Data, fraction, eta_s: None, message }, vec![]);
        };
        arrived(0.0);
        let bytes = host.fetch(&format!("{}data/{name}", self.base), &arrived).await;
        // However it ended.
        arrived(1.0);
        let bytes =
            bytes.map_err(|error| SessionError::Data(format!("the data pack {name} could not be fetched: {error}")))?;
        let pack = Rc::new(bytes);
        self.packs.insert(name.to_owned(), pack.clone());
        Ok(pack)
    }

    /// Answers a command about data.
    ///
    /// # Errors
    /// A file cannot be read, or the message lacks it.
    pub async fn handle(
        &mut self,
        host: &impl Host,
        what: DataCommand,
        mut blobs: Vec<Vec<u8>>,
    ) -> Result<DataEvent, SessionError> {
        match what {
            DataCommand::Import { name, files } => {
                let files = files
                    .into_iter()
                    .map(|(path, index)| Ok((path, super::blob(&mut blobs, index)?)))
                    .collect::<Result<Vec<_>, SessionError>>()?;
                self.import(&name, files)
            }
            DataCommand::Choose { options } => self.choose(&options),
            DataCommand::Inspect { spec } => {
                let data = self.get(host, &spec).await?;
                Ok(DataEvent::Card { card: data.card() })
            }
        }
    }

    /// Reads an own file and keeps it: describes it, or says what there is to choose.
    pub fn import(&mut self, name: &str, files: Vec<(String, Vec<u8>)>) -> Result<DataEvent, SessionError> {
        // A page sends a file again with every recipe that needs it.
        let hash = import::hash(&files);
        let known = self.own.remove(&hash);
        let needed = known.is_some() && self.asked.as_ref() != Some(&hash);
        let mut file = match known {
            Some(known) if known.is(name, &hash) => known,
            _ => import::OwnFile::open(name, files, None).map_err(refuse)?,
        };
        // What was asked about and never used does not stay.
        if let Some(unused) = self.asked.take() {
            self.own.remove(&unused);
        }
        let event = match file.choice() {
            Some(choice) => {
                self.asked = (!needed).then(|| hash.clone());
                self.last_asked.clone_from(&hash);
                DataEvent::Asked { choice }
            }
            None => {
                let (data, read) = file.choose(&ImportOptions::default()).map_err(refuse)?;
                DataEvent::Imported { data, card: read.card() }
            }
        };
        self.own.insert(hash, file);
        Ok(event)
    }

    /// Uses the file that was asked about as a person chose.
    pub fn choose(&mut self, options: &ImportOptions) -> Result<DataEvent, SessionError> {
        let file = self.own.get_mut(&self.last_asked).ok_or_else(|| {
            SessionError::Data("the file is no longer here (the engine was started anew): drop it once more".into())
        })?;
        let (data, read) = file.choose(options).map_err(refuse)?;
        self.asked = None;
        Ok(DataEvent::Imported { data, card: read.card() })
    }
}

fn refuse(error: data::DataError) -> SessionError {
    SessionError::Data(error.to_string())
}
