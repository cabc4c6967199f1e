//! Images with their classes, as tables of a play.

use burn::tensor::{Int, Tensor};
use engine::data::{Data, Values};
use engine::tape::{Play, Table, Tape, Words};
use engine::train::INDEX;

use super::StudyError;

/// Images with their classes: first those to learn from, then those to be tested on.
pub struct Images {
    /// A row an image.
    pub table: Table,
    /// What it holds.
    pub pixels: Vec<u8>,
    /// Class of each row.
    pub labels: Vec<u32>,
    /// Rows to learn from.
    pub train: usize,
    /// The classes as a table.
    classes: Table,
}

impl Images {
    /// The images of a data set, under the name of a table.
    ///
    /// # Errors
    /// The data are no images with classes.
    pub fn of(name: &str, data: &Data) -> Result<Self, StudyError> {
        let (Values::Images(images), Some(labels)) = (&data.values, data.labels()) else {
            return Err(StudyError::Other("the study needs images of classes".into()));
        };
        let size = images.shape.iter().product::<usize>();
        let rows: Vec<usize> = data.train.clone().chain(data.test.clone()).collect();
        let pixels = rows.iter().flat_map(|&row| &images.pixels[row * size..(row + 1) * size]).copied().collect();
        let labels: Vec<u32> = rows.iter().map(|&row| labels[row]).collect();
        let count = labels.len();
        Ok(Self {
            table: Table::bytes(name, [count, size]),
            pixels,
            labels,
            train: data.train.len(),
            classes: Table::classes(&format!("{name}.classes"), [count]),
        })
    }

    /// Uploads both tables.
    ///
    /// # Errors
    /// The executor fails.
    pub fn upload(&self, play: &mut Play<'_>) -> Result<(), StudyError> {
        play.table(&self.table, Words::Bytes(&self.pixels))?;
        Ok(play.table(&self.classes, Words::Classes(&self.labels))?)
    }

    /// So many images, from 0 to 1, `[rows, pixels]`, with their classes, `[rows]`, by row numbers that are the step input
    /// [`INDEX`].
    pub fn batch(&self, tape: &mut Tape, rows: usize) -> (Tensor<2>, Tensor<1, Int>) {
        let pixels = self.pixels.len() / self.labels.len().max(1);
        let x = tape.rows(&self.table, INDEX, [rows, pixels]) * (1.0 / 255.0);
        (x, tape.row_classes(&self.classes, INDEX, [rows]))
    }

    /// The rows that are tested on.
    pub fn tested(&self) -> Vec<u32> {
        (self.train as u32..self.labels.len() as u32).collect()
    }
}
