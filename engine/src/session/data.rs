//! Data sets at hand: packs fetched once, own files read once.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Host, SessionError};
use crate::data::{self, Data, import};
use crate::protocol::{Event, ImportOptions, Phase};
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
        let refuse = |error: data::DataError| SessionError::Data(error.to_string());
        let data = if spec.data.set == DataSet::Own {
            let file = self.own.get(&spec.data.hash).ok_or_else(|| {
                SessionError::Data(format!(
                    "this link needs the file {} (it never leaves the browser it is opened in): drop it on the page",
                    spec.data.file
                ))
            })?;
            file.load(&spec.data, spec.seed).map_err(refuse)?
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

    async fn pack(&mut self, host: &impl Host, name: &str) -> Result<Rc<Vec<u8>>, SessionError> {
        if let Some(pack) = self.packs.get(name) {
            return Ok(pack.clone());
        }
        let message = format!("fetching {name}");
        host.emit(Event::Progress { run: None, phase: Phase::Data, fraction: f64::NAN, eta_s: None, message }, vec![]);
        let bytes = host
            .fetch(&format!("{}data/{name}", self.base))
            .await
            .map_err(|error| SessionError::Data(format!("the data pack {name} could not be fetched: {error}")))?;
        let pack = Rc::new(bytes);
        self.packs.insert(name.to_owned(), pack.clone());
        Ok(pack)
    }

    /// Reads an own file, keeps it, and describes it.
    pub fn import(
        &mut self,
        name: &str,
        files: Vec<(String, Vec<u8>)>,
        options: &ImportOptions,
    ) -> Result<Event, SessionError> {
        let refuse = |error: data::DataError| SessionError::Data(error.to_string());
        let file = import::OwnFile::read(name, files, options).map_err(refuse)?;
        let spec = file.spec();
        let data = file.load(&spec, 1).map_err(refuse)?;
        let event = Event::Imported { data: spec.clone(), card: data.card(), columns: file.columns() };
        self.own.insert(spec.hash, file);
        Ok(event)
    }
}
