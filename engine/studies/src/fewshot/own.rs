//! Classes of the person's own: few pictures each, kept whatever else is opened.

use engine::data::canvas::{Lie, from_canvas, resized};
use engine::data::import::{Picture as Rgb, each_picture};
use engine::fewshot::{Gallery, Method, OwnClass, OwnCommand, OwnState, Prediction, Raw, Rejection};
use engine::numeric::Matrix;
use engine::protocol::Blob;
use serde::{Deserialize, Serialize};

use super::bench::matrix;
use super::lab::Lab;
use super::methods::{Problem, class_means, classify, nearest, squared_distances};
use super::rejection::among;
use super::shown::gallery;
use crate::StudyError;

/// The forms in which own pictures are kept: RGB, as photographs are seen, and grey, as letters are.
const PHOTO: [usize; 3] = crate::encoder::squeezenet::SHAPE;
pub(crate) const LETTER: [usize; 3] = [1, 28, 28];
/// Most classes, pictures of a class and of all of them, characters of a name.
const MOST_CLASSES: usize = 200;
const MOST_PICTURES: usize = 500;
const MOST_IN_ALL: usize = 4000;
const LONGEST_NAME: usize = 80;
/// Pictures that were asked about last: the queries of the own task.
const MOST_ASKED: usize = 30;
/// What a file of classes begins with.
const MAGIC: &[u8] = b"MBCL\x01\0\0\0";

/// A picture in both forms that encoders see, so that another encoder finds it as it was given, and its vector once it was
/// needed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    photo: Vec<u8>,
    letter: Vec<u8>,
    pub vector: Vec<f32>,
}

impl Picture {
    /// Of a picture as the page sends it.
    ///
    /// # Errors
    /// It has no pixels, too many, or other than it says.
    fn new(raw: &Raw, bytes: &[u8]) -> Result<Self, StudyError> {
        let form = |shape| from_canvas(raw, bytes, shape, Lie::of_letters(shape)).map_err(other);
        Ok(Self { photo: form(PHOTO)?, letter: form(LETTER)?, vector: Vec::new() })
    }

    /// In a shape.
    pub fn seen(&self, shape: [usize; 3]) -> Vec<u8> {
        if shape[0] == 1 { resized(&self.letter, LETTER, shape) } else { resized(&self.photo, PHOTO, shape) }
    }
}

/// The shape in which own pictures are shown to the person: smaller than photographs are to the encoder.
pub(super) fn thumbnail([channels, height, width]: [usize; 3]) -> [usize; 3] {
    const SIDE: usize = 48;
    [channels, height.min(SIDE), width.min(SIDE)]
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

    fn add_pictures(&mut self, class: usize, pictures: Vec<Picture>) -> Result<(), StudyError> {
        let all: usize = self.classes.iter().map(|class| class.pictures.len()).sum();
        let class = self.class(class)?;
        if class.pictures.len() + pictures.len() > MOST_PICTURES {
            return Err(other(format!("A class takes at most {MOST_PICTURES} pictures")));
        }
        if all + pictures.len() > MOST_IN_ALL {
            return Err(other(format!("All classes together take at most {MOST_IN_ALL} pictures")));
        }
        class.pictures.extend(pictures);
        Ok(())
    }
}

/// A picture that a command names.
fn given(raw: &Raw, blobs: &[Vec<u8>]) -> Result<Picture, StudyError> {
    Picture::new(raw, bytes_of(raw, blobs)?)
}

fn bytes_of<'b>(raw: &Raw, blobs: &'b [Vec<u8>]) -> Result<&'b [u8], StudyError> {
    blobs.get(raw.pixels.0).map(Vec::as_slice).ok_or_else(|| other("The picture's pixels are missing".into()))
}

fn other(message: String) -> StudyError {
    StudyError::Other(message)
}

/// Description of the pictures in a file of classes.
#[derive(Serialize, Deserialize)]
struct Header {
    /// In files of earlier builds: the one shape of all pictures. Else each is there as a photograph and as a letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<[usize; 3]>,
    classes: Vec<(String, usize)>,
}

impl Lab {
    /// Does what is asked of own classes, but [`OwnCommand::Predict`] and [`OwnCommand::Save`]. What was noticed.
    ///
    /// # Errors
    /// Why it cannot be done; everything is then as before.
    pub fn own(&mut self, command: OwnCommand, blobs: &[Vec<u8>]) -> Result<Vec<String>, StudyError> {
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
                let pictures = pictures.iter().map(|raw| given(raw, blobs)).collect::<Result<_, _>>()?;
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
            OwnCommand::Clear => self.own = Own::default(),
            OwnCommand::Load { file } => self.load(blobs.get(file.0).map_or(&[], Vec::as_slice))?,
            OwnCommand::Predict { .. } | OwnCommand::Save => {}
        }
        Ok(Vec::new())
    }

    /// A picture as the page sends it, in the shape of the source's.
    ///
    /// # Errors
    /// It has no pixels, too many, or other than it says.
    pub fn canvas(&self, raw: &Raw, blobs: &[Vec<u8>]) -> Result<Vec<u8>, StudyError> {
        let shape = self.pictures.shape;
        from_canvas(raw, bytes_of(raw, blobs)?, shape, Lie::of_letters(shape)).map_err(other)
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
        // The classes' names in order of path, each with its pictures.
        let mut found: Vec<(String, Vec<Picture>)> = Vec::new();
        let mut loose = 0_usize;
        let notes = each_picture(&name, files, |folder, Rgb { width, height, rgb }| {
            let Some(folder) = folder.or(class.map(|_| "")) else {
                loose += 1;
                return;
            };
            let raw = Raw { width, height, channels: 3, pixels: Blob(0) };
            // A decoded picture has as many pixels as it says, and no more than are read.
            let Ok(picture) = Picture::new(&raw, &rgb) else { return };
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
        let header = serde_json::to_vec(&Header { shape: None, classes }).unwrap_or_default();
        let mut bytes = [MAGIC, &(header.len() as u32).to_le_bytes(), &header].concat();
        let pictures = self.own.classes.iter().flat_map(|class| &class.pictures);
        pictures.for_each(|picture| bytes.extend(picture.photo.iter().chain(&picture.letter)));
        Ok(bytes)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StudyError> {
        let wrong = || other("This is no file of classes that was saved here, or it is cut short".into());
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(wrong)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let (header, pixels) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(wrong)?;
        let Header { shape, classes } = serde_json::from_slice(header).map_err(|_| wrong())?;
        let of = |shape: [usize; 3]| shape.iter().try_fold(1_usize, |size, &side| size.checked_mul(side));
        let size = shape.map_or_else(|| Some(of(PHOTO)? + of(LETTER)?), of).ok_or_else(wrong)?;
        let count = classes.iter().try_fold(0_usize, |sum, class| sum.checked_add(class.1)).ok_or_else(wrong)?;
        if size == 0 || size.checked_mul(count) != Some(pixels.len()) {
            return Err(wrong());
        }
        let mut own = Own::default();
        let mut pictures = pixels.chunks_exact(size).map(|pixels| {
            let (photo, letter) = match shape {
                Some(shape) => (resized(pixels, shape, PHOTO), resized(pixels, shape, LETTER)),
                None => {
                    let (photo, letter) = pixels.split_at(PHOTO.iter().product());
                    (photo.to_vec(), letter.to_vec())
                }
            };
            Picture { photo, letter, vector: Vec::new() }
        });
        for (name, count) in classes {
            let place = own.add_class(&name)?;
            own.add_pictures(place, pictures.by_ref().take(count).collect())?;
        }
        self.own = own;
        Ok(())
    }

    /// Computes the vectors of own pictures that are not known.
    pub(super) async fn embed_own(&mut self) -> Result<(), StudyError> {
        let classes = self.own.classes.iter_mut().flat_map(|class| &mut class.pictures);
        let unknown: Vec<&mut Picture> = classes.chain(&mut self.own.asked).filter(|p| p.vector.is_empty()).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let shape = self.encoder.shape();
        let pixels: Vec<u8> = unknown.iter().flat_map(|picture| picture.seen(shape)).collect();
        let (dims, vectors) = (self.encoder.dims(), self.encoder.encode(&pixels, shape).await?);
        for (picture, vector) in unknown.into_iter().zip(vectors.chunks_exact(dims.max(1))) {
            picture.vector = vector.to_vec();
        }
        Ok(())
    }

    /// Vectors of the classes that have pictures, and the place among all classes of each row.
    pub(super) fn own_points(&self) -> (Matrix, Vec<usize>) {
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
        let shape = thumbnail(self.encoder.shape());
        let pixels = self.own.classes.iter().flat_map(|class| &class.pictures).flat_map(|p| p.seen(shape)).collect();
        let (pictures, pixels) = gallery(shape, pixels);
        Ok((OwnState { classes: classes.collect(), pictures, rejection, notes }, pixels))
    }

    /// The distance beyond which a picture counts as none of the classes, kept until classes change.
    async fn rejection(&mut self) -> Result<Option<Rejection>, StudyError> {
        let mut counts: Vec<usize> =
            self.own.classes.iter().map(|class| class.pictures.len()).filter(|&n| n > 0).collect();
        if counts.len() < 2 {
            return Ok(None);
        }
        if self.photographs() {
            let (points, labels) = self.own_points();
            return Ok(among(&points, &labels, self.own.classes.len(), self.spec.alarm));
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
        let asked = given(raw, blobs)?;
        if self.own.classes.iter().all(|class| class.pictures.is_empty()) {
            return Err(other("No class has a picture yet".into()));
        }
        // What is still being drawn is one picture.
        if self.own.asked_as.replace(id) == Some(id) {
            self.own.asked.pop();
        }
        let shape = thumbnail(self.encoder.shape());
        let pixels = asked.seen(shape);
        self.own.asked.push(asked);
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
        let (seen, pixels): (Gallery, Vec<u8>) = gallery(shape, pixels);
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
    let apart = held_out(points, labels, ways);
    let (mut counts, mut right) = (vec![0_usize; ways], vec![0; ways]);
    for (row, &label) in labels.iter().enumerate() {
        let nearest = (0..ways).min_by(|&a, &b| apart.at(row, a).total_cmp(&apart.at(row, b)));
        counts[label] += 1;
        right[label] += usize::from(nearest == Some(label));
    }
    let others = |class: usize| labels.len() > counts[class];
    (0..ways).map(|class| (counts[class] > 1 && others(class)).then_some(right[class])).collect()
}

/// Squared distances of pictures to the means of the classes without them, `[N, ways]`; infinite where that leaves none.
pub(super) fn held_out(points: &Matrix, labels: &[usize], ways: usize) -> Matrix {
    let mut apart = squared_distances(points, &class_means(points, labels, ways));
    let mut counts = vec![0_usize; ways];
    labels.iter().for_each(|&label| counts[label] += 1);
    for (distances, &label) in apart.values.chunks_mut(ways.max(1)).zip(labels) {
        for (class, (distance, &count)) in distances.iter_mut().zip(&counts).enumerate() {
            if count == usize::from(class == label) {
                *distance = f64::INFINITY;
            } else if class == label {
                // Without the point, its class's mean is further away by n / (n - 1).
                *distance *= (count as f64 / (count as f64 - 1.0)).powi(2);
            }
        }
    }
    apart
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
