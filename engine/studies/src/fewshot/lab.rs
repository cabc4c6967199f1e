//! A session of the lab without the page: opened by a spec, asked for tasks, comparisons, own pictures.

use std::collections::BTreeMap;
use std::rc::Rc;

use engine::executor::AnyExecutor;
use engine::fewshot::{Embedding, EncoderCard, FewshotSpec, Mean, Source, SourceCard};
use engine::spec::Issue;
use engine::tape::Home;

use super::bench::Bench;
use super::embedding::{Encoder, column_means};
use super::own::Own;
use super::pictures::{Part, Pictures, files};
use super::shown::Shown;
use crate::StudyError;

/// Files of the folder of packs, by name.
pub type Packs = BTreeMap<&'static str, Rc<Vec<u8>>>;

/// A session.
pub struct Lab {
    pub(super) home: Home<AnyExecutor>,
    pub(super) spec: FewshotSpec,
    pub(super) pictures: Rc<Pictures>,
    pub(super) novel: Bench,
    pub(super) encoder: Encoder,
    /// Mean vector of the base classes, once it was needed.
    centre: Option<Vec<f64>>,
    pub(super) shown: Shown,
    pub(super) own: Own,
}

impl Lab {
    /// Names of the files that a spec needs.
    #[must_use]
    pub fn needs(spec: &FewshotSpec) -> Vec<&'static str> {
        files(spec.data).iter().copied().chain(Encoder::file(spec.embedding)).collect()
    }

    /// A session of a spec. `packs`: the files that it [`needs`](Self::needs).
    ///
    /// # Errors
    /// A file is missing or damaged; the executor fails.
    pub async fn new(home: Home<AnyExecutor>, spec: FewshotSpec, packs: &Packs) -> Result<Self, StudyError> {
        let pictures = Rc::new(read(spec.data, packs)?);
        let encoder = Encoder::new(&home, &pictures, &spec, parameters(&spec, packs)).await?;
        let novel = Bench::new(&pictures, Part::Novel, &spec, encoder.dims());
        Ok(Self { home, spec, pictures, novel, encoder, centre: None, shown: Shown::default(), own: Own::default() })
    }

    /// Goes over to another spec. Only what the change touches is made anew.
    ///
    /// # Errors
    /// As [`Lab::new`]; the session then has pixels for vectors.
    pub async fn open(&mut self, spec: FewshotSpec, packs: &Packs) -> Result<(), StudyError> {
        let pictures = match files(spec.data) == files(self.spec.data) {
            true => self.pictures.clone(),
            false => Rc::new(read(spec.data, packs)?),
        };
        let source = !Rc::ptr_eq(&pictures, &self.pictures);
        let encoder = source || taught(&spec) != taught(&self.spec);
        let old = self.spec.clone();
        if encoder {
            // One play at a time has the executor: pixels need none.
            self.spec = plain(&spec);
            self.pictures = pictures.clone();
            self.encoder = Encoder::new(&Home::default(), &pictures, &self.spec, None).await?;
            self.novel = Bench::new(&pictures, Part::Novel, &self.spec, self.encoder.dims());
            self.changed();
            self.encoder = Encoder::new(&self.home, &pictures, &spec, parameters(&spec, packs)).await?;
        }
        let examples = |spec: &FewshotSpec| {
            (spec.warp, spec.seed, spec.support_style, spec.query_style, spec.shots + spec.queries > 40, spec.data)
        };
        self.spec = spec;
        if encoder || examples(&self.spec) != examples(&old) || self.grown(&old) {
            self.novel = Bench::new(&self.pictures, Part::Novel, &self.spec, self.encoder.dims());
            self.centre = None;
        }
        self.shown.forget();
        Ok(())
    }

    /// Whether a task needs more examples of a class than before, beyond those that there are.
    fn grown(&self, old: &FewshotSpec) -> bool {
        let examples = |spec: &FewshotSpec| (spec.shots + spec.queries).max(super::pictures::EXAMPLES as usize);
        examples(&self.spec) != examples(old)
    }

    /// The spec as it runs.
    #[must_use]
    pub fn spec(&self) -> &FewshotSpec {
        &self.spec
    }

    /// What of the spec the pictures do not bear is replaced by what they do, and said.
    pub fn fit(&mut self) -> Vec<Issue> {
        let mut issues = Vec::new();
        let drawn = |lab: &Self| lab.novel.tasks.draw(&lab.spec, [lab.spec.ways, lab.spec.shots], 0);
        let classes = self.pictures.classes(Part::Novel).len();
        if self.spec.ways > classes {
            self.spec.ways = classes;
            issues.push(Issue::new("ways", format!("There are {classes} classes for tasks"), classes.to_string()));
        }
        while self.spec.data != Source::Own && drawn(self).is_err() && self.spec.queries > 1 {
            self.spec.queries -= 1;
        }
        while self.spec.data != Source::Own && drawn(self).is_err() && self.spec.shots > 1 {
            self.spec.shots -= 1;
        }
        if let (Err(error), true) = (drawn(self), self.spec.data != Source::Own) {
            issues.push(Issue::new("ways", error.to_string(), self.spec.ways.to_string()));
        }
        issues
    }

    /// Its pictures.
    #[must_use]
    pub fn source(&self) -> SourceCard {
        let count = |part: Part| self.pictures.classes(part).len();
        let mut pictures = [usize::MAX, 0];
        for &class in self.pictures.classes(Part::Novel) {
            let count = self.pictures.count(class);
            pictures = [pictures[0].min(count), pictures[1].max(count)];
        }
        let info = &self.pictures.info;
        SourceCard {
            title: info.title.clone(),
            licence: info.licence.clone(),
            attribution: info.attribution.clone(),
            base: count(Part::Base),
            validation: count(Part::Validation),
            novel: count(Part::Novel),
            pictures,
        }
    }

    /// Its encoder.
    #[must_use]
    pub fn encoder_card(&self) -> EncoderCard {
        self.encoder.card(&self.spec)
    }

    /// Vectors are no longer what the encoder says.
    pub(super) fn changed(&mut self) {
        self.novel.forget(self.encoder.dims());
        self.centre = None;
        self.own.forget();
    }

    /// Trains the encoder to the end of its training, without a pause.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn train(&mut self, now_ms: fn() -> f64) -> Result<(), StudyError> {
        loop {
            let began = now_ms();
            let more = self.encoder.update(&self.pictures, &self.spec).await?;
            if let Some(training) = &mut self.encoder.training {
                training.seconds += (now_ms() - began) / 1e3;
            }
            if !more {
                break;
            }
        }
        self.changed();
        Ok(())
    }

    /// Accuracy of nearest prototypes on validation classes, at 5-way 1-shot: what settings of a training are chosen by.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn validate(&mut self) -> Result<Mean, StudyError> {
        self.encoder.validate(&self.pictures, &self.spec).await
    }

    /// The encoder's parameters.
    ///
    /// # Errors
    /// The executor fails; it has none.
    pub async fn parameters(&mut self) -> Result<Vec<f32>, StudyError> {
        self.encoder.parameters().await
    }

    /// Whether own pictures are photographs: they are then their own reference, as letters say nothing of them.
    pub(super) fn photographs(&self) -> bool {
        self.spec.data == Source::Own && self.spec.embedding == Embedding::Squeezenet
    }

    /// Mean vector of the base classes; that of all own photographs, which have none.
    pub(super) async fn centre(&mut self) -> Result<Vec<f64>, StudyError> {
        if self.photographs() {
            return Ok(column_means(&self.own_points().0));
        }
        if let Some(centre) = &self.centre {
            return Ok(centre.clone());
        }
        let centre = self.encoder.centre(&self.pictures, &self.spec).await?;
        self.centre = Some(centre.clone());
        Ok(centre)
    }
}

/// The file of parameters that a spec asks for.
fn parameters<'p>(spec: &FewshotSpec, packs: &'p Packs) -> Option<&'p [u8]> {
    packs.get(Encoder::file(spec.embedding)?).map(|bytes| bytes.as_slice())
}

fn read(source: Source, packs: &Packs) -> Result<Pictures, StudyError> {
    let bytes = files(source).iter().map(|name| {
        let pack = packs.get(name).ok_or_else(|| StudyError::Other(format!("the pack {name} was not fetched")))?;
        Ok(pack.as_slice())
    });
    let bytes = bytes.collect::<Result<Vec<&[u8]>, StudyError>>()?;
    Pictures::read(source, &bytes).map_err(StudyError::Other)
}

/// What an encoder is made by: everything else may change while it stays.
fn taught(spec: &FewshotSpec) -> FewshotSpec {
    let same = FewshotSpec { embedding: spec.embedding, seed: spec.seed, ..FewshotSpec::default() };
    if !spec.embedding.trains() {
        return same;
    }
    FewshotSpec {
        data: spec.data,
        warp: spec.warp,
        base: spec.base,
        updates: spec.updates,
        seconds: spec.seconds,
        rate: spec.rate,
        episode_ways: spec.episode_ways,
        episode_shots: spec.episode_shots,
        episode_queries: spec.episode_queries,
        ..same
    }
}

/// A spec whose encoder needs no executor.
fn plain(spec: &FewshotSpec) -> FewshotSpec {
    FewshotSpec { embedding: Embedding::Pixels, ..spec.clone() }
}
