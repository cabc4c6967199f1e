//! Classes of the person's own: few pictures each, kept whatever else is opened.

use engine::data::import::{Picture as Rgb, each_picture};
use engine::fewshot::{Gallery, Method, OwnClass, OwnCommand, OwnState, Prediction, Raw, Rejection};
use engine::numeric::Matrix;
use engine::protocol::Blob;
use serde::{Deserialize, Serialize};

use super::bench::matrix;
use super::lab::Lab;
use super::methods::{Problem, class_means, classify, nearest, squared_distances};
use super::resize::{from_canvas, resized};
use super::shown::gallery;
use crate::StudyError;

/// Most classes, pictures of a class, characters of a name.
const MOST_CLASSES: usize = 200;
const MOST_PICTURES: usize = 500;
const LONGEST_NAME: usize = 80;
/// Pictures that were asked about last: the queries of the own task.
const MOST_ASKED: usize = 30;
/// What a file of classes begins with.
const MAGIC: &[u8] = b"MBCL\x01\0\0\0";

/// A picture as the encoder sees it, and its vector once it was needed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    pub pixels: Vec<u8>,
    pub vector: Vec<f32>,
}

/// A class.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Class {
    pub name: String,
    pub pictures: Vec<Picture>,
}

/// The person's classes.
#[derive(Debug, Clone, Default)]
pub struct Own {
    pub(super) classes: Vec<Class>,
    /// Pictures that were asked about.
    pub(super) asked: Vec<Picture>,
    /// Under what number the last of them was.
    asked_as: Option<u32>,
    /// The shape of all of them.
    shape: [usize; 3],
    /// Ways, shots, share of false alarms; and what came of them.
    rejection: Option<([usize; 2], f64, Rejection)>,
}

impl Own {
    /// Forgets what an encoder said.
    pub fn forget(&mut self) {
        let classes = self.classes.iter_mut().flat_map(|class| &mut class.pictures);
        classes.chain(&mut self.asked).for_each(|picture| picture.vector.clear());
        self.rejection = None;
    }

    fn class(&mut self, place: usize) -> Result<&mut Class, StudyError> {
        self.classes.get_mut(place).ok_or_else(|| other("There is no such class".into()))
    }

    /// A name as a class may have it.
    fn name(&self, name: &str, except: Option<usize>) -> Result<String, StudyError> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(other(format!("A class needs a name of at most {LONGEST_NAME} characters")));
        }
        if self.classes.iter().enumerate().any(|(at, class)| Some(at) != except && class.name == name) {
            return Err(other(format!("There is a class “{name}” already; add pictures to it, or take another name")));
        }
        Ok(name.to_owned())
    }

    fn add_class(&mut self, name: &str) -> Result<usize, StudyError> {
        if self.classes.len() >= MOST_CLASSES {
            return Err(other(format!("There are {MOST_CLASSES} classes, which is the most")));
        }
        let name = self.name(name, None)?;
        self.classes.push(Class { name, pictures: Vec::new() });
        Ok(self.classes.len() - 1)
    }

    fn add_pictures(&mut self, class: usize, pictures: Vec<Vec<u8>>) -> Result<(), StudyError> {
        let class = self.class(class)?;
        if class.pictures.len() + pictures.len() > MOST_PICTURES {
            return Err(other(format!("A class takes at most {MOST_PICTURES} pictures")));
        }
        class.pictures.extend(pictures.into_iter().map(|pixels| Picture { pixels, vector: Vec::new() }));
        Ok(())
    }
}

fn other(message: String) -> StudyError {
    StudyError::Other(message)
}

/// Description of the pictures in a file of classes.
#[derive(Serialize, Deserialize)]
struct Header {
    shape: [usize; 3],
    classes: Vec<(String, usize)>,
}

impl Lab {
    /// Does what is asked of own classes, but [`OwnCommand::Predict`] and [`OwnCommand::Save`]. What was noticed.
    ///
    /// # Errors
    /// Why it cannot be done; everything is then as before.
    pub fn own(&mut self, command: OwnCommand, blobs: &[Vec<u8>]) -> Result<Vec<String>, StudyError> {
        self.fit_own();
        self.own.rejection = None;
        match command {
            OwnCommand::AddClass { name } => self.own.add_class(&name).map(drop)?,
            OwnCommand::RenameClass { class, name } => {
                let name = self.own.name(&name, Some(class))?;
                self.own.class(class)?.name = name;
            }
            OwnCommand::RemoveClass { class } => {
                self.own.class(class)?;
                self.own.classes.remove(class);
            }
            OwnCommand::AddPictures { class, pictures } => {
                let pictures = pictures.iter().map(|raw| self.canvas(raw, blobs)).collect::<Result<_, _>>()?;
                self.own.add_pictures(class, pictures)?;
            }
            OwnCommand::RemovePicture { class, picture } => {
                let class = self.own.class(class)?;
                if picture >= class.pictures.len() {
                    return Err(other("There is no such picture".into()));
                }
                class.pictures.remove(picture);
            }
            OwnCommand::Import { files, class } => return self.import(files, class, blobs),
            OwnCommand::Clear => self.own = Own { shape: self.own.shape, ..Own::default() },
            OwnCommand::Load { file } => self.load(blobs.get(file.0).map_or(&[], Vec::as_slice))?,
            OwnCommand::Predict { .. } | OwnCommand::Save => {}
        }
        Ok(Vec::new())
    }

    /// Brings own pictures to the encoder's shape, should it see another one than the last.
    fn fit_own(&mut self) {
        let (from, to) = (self.own.shape, self.pictures.shape);
        if from != to {
            let classes = self.own.classes.iter_mut().flat_map(|class| &mut class.pictures);
            for picture in classes.chain(&mut self.own.asked) {
                *picture = Picture { pixels: resized(&picture.pixels, from, to), vector: Vec::new() };
            }
            self.own.shape = to;
        }
    }

    /// A picture as the page sends it, in the encoder's shape.
    ///
    /// # Errors
    /// It has no pixels, too many, or other than it says.
    pub fn canvas(&self, raw: &Raw, blobs: &[Vec<u8>]) -> Result<Vec<u8>, StudyError> {
        let bytes = blobs.get(raw.pixels.0).ok_or_else(|| other("The picture's pixels are missing".into()))?;
        from_canvas(raw, bytes, self.pictures.shape).map_err(StudyError::Other)
    }

    fn import(
        &mut self,
        files: Vec<(String, Blob)>,
        class: Option<usize>,
        blobs: &[Vec<u8>],
    ) -> Result<Vec<String>, StudyError> {
        let content = |blob: Blob| blobs.get(blob.0).cloned().unwrap_or_default();
        let files: Vec<(String, Vec<u8>)> = files.into_iter().map(|(path, blob)| (path, content(blob))).collect();
        let name = files.first().map_or_else(String::new, |(path, _)| path.clone());
        // The classes' names in order of path, each with its pictures as the encoder sees them.
        let mut found: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
        let (mut loose, shape) = (0_usize, self.pictures.shape);
        let notes = each_picture(&name, files, |folder, Rgb { width, height, rgb }| {
            let Some(folder) = folder.or(class.map(|_| "")) else {
                loose += 1;
                return;
            };
            let raw = Raw { width, height, channels: 3, pixels: Blob(0) };
            // A decoded picture has as many pixels as it says, and no more than are read.
            let Ok(picture) = from_canvas(&raw, &rgb, shape) else { return };
            match found.last_mut() {
                Some((name, pictures)) if name == folder => pictures.push(picture),
                _ => found.push((folder.to_owned(), vec![picture])),
            }
        });
        let mut notes = notes.map_err(|error| other(error.to_string()))?;
        if loose > 0 {
            let lie = if loose == 1 { "One picture lies" } else { &format!("{loose} pictures lie") };
            notes.push(format!(
                "{lie} in no folder: a folder names its pictures' class. Drop such pictures on a class."
            ));
        }
        let mut own = self.own.clone();
        for (name, pictures) in found {
            let known = own.classes.iter().position(|class| class.name == name);
            let place = match (class, known) {
                (Some(class), _) => class,
                (None, Some(known)) => known,
                (None, None) => own.add_class(&name)?,
            };
            own.add_pictures(place, pictures)?;
        }
        self.own = own;
        Ok(notes)
    }

    /// Classes and pictures as a file.
    ///
    /// # Errors
    /// There is no class.
    pub fn save(&self) -> Result<Vec<u8>, StudyError> {
        if self.own.classes.is_empty() {
            return Err(other("There is no class to be saved".into()));
        }
        let classes = self.own.classes.iter().map(|class| (class.name.clone(), class.pictures.len())).collect();
        let header = serde_json::to_vec(&Header { shape: self.own.shape, classes }).unwrap_or_default();
        let mut bytes = [MAGIC, &(header.len() as u32).to_le_bytes(), &header].concat();
        self.own.classes.iter().flat_map(|class| &class.pictures).for_each(|p| bytes.extend(&p.pixels));
        Ok(bytes)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StudyError> {
        let wrong = || other("This is no file of classes that was saved here, or it is cut short".into());
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(wrong)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let (header, pixels) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(wrong)?;
        let Header { shape, classes } = serde_json::from_slice(header).map_err(|_| wrong())?;
        let size = shape.iter().try_fold(1_usize, |size, &side| size.checked_mul(side)).ok_or_else(wrong)?;
        let count = classes.iter().try_fold(0_usize, |sum, class| sum.checked_add(class.1)).ok_or_else(wrong)?;
        if size == 0 || size.checked_mul(count) != Some(pixels.len()) {
            return Err(wrong());
        }
        let mut own = Own { shape, ..Own::default() };
        let mut pictures = pixels.chunks_exact(size).map(<[u8]>::to_vec);
        for (name, count) in classes {
            let place = own.add_class(&name)?;
            own.add_pictures(place, pictures.by_ref().take(count).collect())?;
        }
        self.own = own;
        self.fit_own();
        Ok(())
    }

    /// Computes the vectors of own pictures that are not known.
    pub(super) async fn embed_own(&mut self) -> Result<(), StudyError> {
        self.fit_own();
        let classes = self.own.classes.iter_mut().flat_map(|class| &mut class.pictures);
        let unknown: Vec<&mut Picture> = classes.chain(&mut self.own.asked).filter(|p| p.vector.is_empty()).collect();
        let pixels: Vec<u8> = unknown.iter().flat_map(|picture| picture.pixels.iter().copied()).collect();
        if pixels.is_empty() {
            return Ok(());
        }
        let (dims, vectors) = (self.encoder.dims(), self.encoder.encode(&pixels).await?);
        for (picture, vector) in unknown.into_iter().zip(vectors.chunks_exact(dims.max(1))) {
            picture.vector = vector.to_vec();
        }
        Ok(())
    }

    /// Vectors of the classes that have pictures, and the place among all classes of each row.
    fn own_points(&self) -> (Matrix, Vec<usize>) {
        let rows = self.own.classes.iter().enumerate();
        let (labels, vectors): (Vec<usize>, Vec<&[f32]>) =
            rows.flat_map(|(at, class)| class.pictures.iter().map(move |p| (at, p.vector.as_slice()))).unzip();
        (matrix(&vectors.concat(), self.encoder.dims()), labels)
    }

    /// Own classes as they are, and the pixels that the message names.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn own_state(&mut self, notes: Vec<String>) -> Result<(OwnState, Vec<u8>), StudyError> {
        self.embed_own().await?;
        let rejection = self.rejection().await?;
        // Ahead of the first prediction, which is to be quick.
        self.centre().await?;
        let (points, labels) = self.own_points();
        let right = left_out(&points, &labels, self.own.classes.len());
        let classes = self.own.classes.iter().zip(right).map(|(class, right)| OwnClass {
            name: class.name.clone(),
            pictures: class.pictures.len(),
            right,
        });
        let pixels = self.own.classes.iter().flat_map(|class| &class.pictures).flat_map(|p| p.pixels.clone()).collect();
        let (pictures, pixels) = gallery(&self.pictures, pixels);
        Ok((OwnState { classes: classes.collect(), pictures, rejection, notes }, pixels))
    }

    /// The distance beyond which a picture counts as none of the classes, kept until classes change.
    async fn rejection(&mut self) -> Result<Option<Rejection>, StudyError> {
        let mut counts: Vec<usize> =
            self.own.classes.iter().map(|class| class.pictures.len()).filter(|&n| n > 0).collect();
        if counts.len() < 2 {
            return Ok(None);
        }
        counts.sort_unstable();
        let (form, alarm) = ([counts.len(), counts[counts.len() / 2]], self.spec.alarm);
        if let Some((known, at, rejection)) = self.own.rejection
            && known == form
            && at == alarm
        {
            return Ok(Some(rejection));
        }
        let rejection = self.measure_rejection(form, alarm).await?;
        self.own.rejection = Some((form, alarm, rejection));
        Ok(Some(rejection))
    }

    /// Where an own picture belongs, and the pixels that the message names.
    ///
    /// # Errors
    /// No class has a picture; the picture is none; the executor fails.
    pub async fn predict(
        &mut self,
        id: u32,
        raw: &Raw,
        blobs: &[Vec<u8>],
        now_ms: fn() -> f64,
    ) -> Result<(Prediction, Vec<u8>), StudyError> {
        let began = now_ms();
        let pixels = self.canvas(raw, blobs)?;
        if self.own.classes.iter().all(|class| class.pictures.is_empty()) {
            return Err(other("No class has a picture yet".into()));
        }
        // What is still being drawn is one picture.
        if self.own.asked_as.replace(id) == Some(id) {
            self.own.asked.pop();
        }
        self.own.asked.push(Picture { pixels: pixels.clone(), vector: Vec::new() });
        if self.own.asked.len() > MOST_ASKED {
            self.own.asked.remove(0);
        }
        self.embed_own().await?;
        let (mut points, labels) = self.own_points();
        let filled: Vec<usize> = (0..self.own.classes.len()).filter(|at| labels.contains(at)).collect();
        let place = |at: usize| filled.iter().position(|&class| class == at).unwrap_or(0);
        let places: Vec<usize> = labels.iter().map(|&at| place(at)).collect();
        let vector = self.own.asked.last().map(|picture| matrix(&picture.vector, points.columns)).unwrap_or_default();
        let near = nearest(&vector, &points).first().copied().unwrap_or(0);
        let means = class_means(&points, &places, filled.len());
        let distances = squared_distances(&vector, &means);
        points.values.extend(&vector.values);
        points.rows += 1;
        let centre = self.centre().await?;
        // A transductive method would learn from one query: the support alone decides.
        let method = if self.spec.method.row().transductive { Method::Prototype } else { self.spec.method };
        let (ways, settings) = (filled.len(), &self.spec);
        let problem = Problem { ways, points: &points, labels: &places, centre: &centre, settings, watched: false };
        let answer = classify(method, &problem);
        let spread = |values: &[f64], map: fn(f64) -> f64| {
            let mut all = vec![f32::NAN; self.own.classes.len()];
            filled.iter().zip(values).for_each(|(&at, &value)| all[at] = map(value) as f32);
            all
        };
        let (probabilities, apart) = (spread(answer.probabilities.row(0), |p| p), spread(distances.row(0), f64::sqrt));
        let least = distances.row(0).iter().copied().fold(f64::INFINITY, f64::min).sqrt();
        let first = labels.iter().position(|&at| at == labels[near]).unwrap_or(0);
        let nearest = Some((labels[near], near - first));
        let found = filled[answer.predicted()[0]];
        let known = self.rejection().await?.is_none_or(|rejection| least <= rejection.distance);
        let (seen, pixels): (Gallery, Vec<u8>) = gallery(&self.pictures, pixels);
        let prediction = Prediction {
            id,
            class: known.then_some(found),
            probabilities,
            distances: apart,
            nearest,
            seen,
            milliseconds: now_ms() - began,
        };
        Ok((prediction, pixels))
    }
}

/// Pictures of each class that the others classify correctly: each is held against the means without it. None of a class with
/// one picture, or where there is no other class.
fn left_out(points: &Matrix, labels: &[usize], ways: usize) -> Vec<Option<usize>> {
    let means = class_means(points, labels, ways);
    let mut counts = vec![0_usize; ways];
    labels.iter().for_each(|&label| counts[label] += 1);
    let mut right = vec![0; ways];
    for (row, &label) in labels.iter().enumerate() {
        let point = points.row(row);
        let apart = |class: usize| -> f64 {
            // Without the point, its class's mean is further away by n / (n - 1).
            let n = counts[class] as f64;
            let further = if class == label { n / (n - 1.0) } else { 1.0 };
            point.iter().zip(means.row(class)).map(|(x, mean)| (x - mean) * (x - mean)).sum::<f64>() * further * further
        };
        let filled = (0..ways).filter(|&class| counts[class] > usize::from(class == label));
        let nearest = filled.min_by(|&a, &b| apart(a).total_cmp(&apart(b)));
        right[label] += usize::from(nearest == Some(label));
    }
    let others = |class: usize| labels.len() > counts[class];
    (0..ways).map(|class| (counts[class] > 1 && others(class)).then_some(right[class])).collect()
}

#[cfg(test)]
#[test]
fn pictures_are_held_against_the_others() {
    // On a line: class 0 at 0, 1, 9; class 1 at 10, 12; class 2 alone.
    let points = Matrix { rows: 6, columns: 1, values: vec![0.0, 1.0, 9.0, 10.0, 12.0, 50.0] };
    // 0 against 5; 1 against 4.5; 9 against 0.5 and 11: wrong. 10 against 12 and 10/3; 12 against 10.
    assert_eq!(left_out(&points, &[0, 0, 0, 1, 1, 2], 4), [Some(2), Some(2), None, None]);
    assert_eq!(left_out(&points, &[0; 6], 1), [None]);
}
