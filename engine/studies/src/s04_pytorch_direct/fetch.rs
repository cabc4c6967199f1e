//! Three ways to bring scattered rows of a host table to the device, each with a host side (what to upload for a list of
//! rows) and a device side (graph values that turn the upload into the rows). All deliver the same bits.

use burn::tensor::Tensor;

use engine::executor::{ExecError, Executor};
use engine::tape::{Table, Tape};

/// Name of the buffer that holds features on the device.
const FEATURES: &str = "features";
/// Name of the step input that says where in it each row is.
pub const PLACES: &str = "places";

/// Bytes of a memory page.
pub const PAGE: usize = 4096;
/// Floats of a memory page.
const PAGE_FLOATS: usize = PAGE / 4;

/// Who performs the irregular access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The host gathers the rows into a fresh staging buffer and uploads it.
    Staged,
    /// The table lives on the device; only row numbers are uploaded.
    Resident,
    /// Rows used most live on the device; the others are staged behind them.
    Partial {
        /// How many rows live on the device.
        hot: usize,
    },
    /// Every page that holds part of a row is uploaded; the device gathers from the pages.
    Paged,
}

/// Bytes over the boundary between host and device for one list of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Of features: rows or pages.
    pub features: usize,
    /// Of row numbers.
    pub index: usize,
}

impl Traffic {
    /// All of them.
    pub fn total(self) -> usize {
        self.features + self.index
    }
}

/// What the host has prepared for one list of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The step input [`PLACES`]; empty where the device needs none.
    pub places: Vec<u32>,
    /// Freshly gathered features.
    staging: Vec<f32>,
    /// Bytes that will move.
    pub traffic: Traffic,
    /// Of the distinct rows wanted, how many were on the device already, and how many there were.
    pub hits: [usize; 2],
}

/// A table of features and a way to bring its rows to the device, `rows` at a time.
#[derive(Debug)]
pub struct Fetcher<'t> {
    way: Way,
    table: &'t [f32],
    width: usize,
    rows: usize,
    /// Rows on the device, in order of their places there.
    resident: Vec<u32>,
    /// Place of each row of the table on the device.
    place: Vec<Option<u32>>,
}

impl<'t> Fetcher<'t> {
    /// `by_use` lists all rows of the table, those used most first.
    pub fn new(way: Way, table: &'t [f32], width: usize, rows: usize, by_use: &[u32]) -> Self {
        let count = table.len() / width.max(1);
        let resident: Vec<u32> = match way {
            Way::Staged | Way::Paged => vec![],
            Way::Resident => (0..count as u32).collect(),
            Way::Partial { hot } => by_use[..hot.min(by_use.len())].to_vec(),
        };
        let mut place = vec![None; count];
        for (slot, &row) in resident.iter().enumerate() {
            place[row as usize] = Some(slot as u32);
        }
        Self { way, table, width, rows, resident, place }
    }

    /// Floats of the device's buffer.
    fn capacity(&self) -> usize {
        match self.way {
            Way::Staged => self.rows * self.width,
            Way::Resident => self.table.len(),
            // In the worst case every row of a step is a miss.
            Way::Partial { .. } => (self.resident.len() + self.rows) * self.width,
            Way::Paged => self.table.len().next_multiple_of(PAGE_FLOATS),
        }
    }

    fn row(&self, row: u32) -> &'t [f32] {
        &self.table[row as usize * self.width..][..self.width]
    }

    /// The device's buffer.
    pub fn table(&self) -> Table {
        match self.way {
            Way::Paged => Table::numbers(FEATURES, [self.capacity()]),
            _ => Table::numbers(FEATURES, [self.capacity() / self.width, self.width]),
        }
    }

    /// What lives there.
    pub fn contents(&self) -> Vec<f32> {
        let mut contents: Vec<f32> = Vec::with_capacity(self.capacity());
        self.resident.iter().for_each(|&row| contents.extend(self.row(row)));
        contents.resize(self.capacity(), 0.0);
        contents
    }

    /// The device side: the rows as `[rows, width]`.
    pub fn features(&self, tape: &mut Tape) -> Tensor<2> {
        let shape = [self.rows, self.width];
        match self.way {
            Way::Staged => tape.table(&self.table(), shape),
            Way::Resident | Way::Partial { .. } => tape.rows(&self.table(), PLACES, shape),
            Way::Paged => tape.windows(&self.table(), PLACES, shape),
        }
    }

    /// The host side: what the rows of `index` need, gathered anew.
    pub fn gather(&self, index: &[u32]) -> Load {
        let floats = |staging: &Vec<f32>| staging.len() * 4;
        match self.way {
            Way::Staged => {
                let mut staging = Vec::with_capacity(index.len() * self.width);
                index.iter().for_each(|&row| staging.extend_from_slice(self.row(row)));
                let traffic = Traffic { features: floats(&staging), index: 0 };
                Load { places: vec![], staging, traffic, hits: [0, distinct(index).len()] }
            }
            Way::Resident | Way::Partial { .. } => {
                let distinct = distinct(index);
                let misses: Vec<u32> =
                    distinct.iter().copied().filter(|&row| self.place[row as usize].is_none()).collect();
                let mut staging = Vec::with_capacity(misses.len() * self.width);
                misses.iter().for_each(|&row| staging.extend_from_slice(self.row(row)));
                let place = |&row: &u32| {
                    self.place[row as usize].unwrap_or_else(|| {
                        (self.resident.len() + misses.partition_point(|&missing| missing < row)) as u32
                    })
                };
                let places: Vec<u32> = index.iter().map(place).collect();
                let traffic = Traffic { features: floats(&staging), index: 4 * places.len() };
                Load { places, staging, traffic, hits: [distinct.len() - misses.len(), distinct.len()] }
            }
            Way::Paged => {
                let pages = pages(index, self.width);
                let mut staging = Vec::with_capacity(pages.len() * PAGE_FLOATS);
                for &page in &pages {
                    let first = page as usize * PAGE_FLOATS;
                    let end = (first + PAGE_FLOATS).min(self.table.len());
                    staging.extend_from_slice(&self.table[first..end]);
                    staging.resize(staging.len().next_multiple_of(PAGE_FLOATS), 0.0);
                }
                // A row's pages follow each other in the pool as they do in the table, so its floats do too.
                let place = |&row: &u32| {
                    let first = row as usize * self.width;
                    let page = pages.partition_point(|&page| (page as usize) < first / PAGE_FLOATS);
                    (page * PAGE_FLOATS + first % PAGE_FLOATS) as u32
                };
                let places: Vec<u32> = index.iter().map(place).collect();
                let traffic = Traffic { features: floats(&staging), index: 4 * places.len() };
                Load { places, staging, traffic, hits: [0, distinct(index).len()] }
            }
        }
    }

    /// Uploads gathered features.
    pub fn upload(&self, executor: &mut impl Executor, load: &Load) -> Result<(), ExecError> {
        if load.staging.is_empty() {
            return Ok(());
        }
        executor.write_at(FEATURES, 4 * self.resident.len() * self.width, bytemuck::cast_slice(&load.staging))
    }
}

fn distinct(index: &[u32]) -> Vec<u32> {
    let mut rows = index.to_vec();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// Pages that hold part of the rows of `index`, ascending.
pub fn pages(index: &[u32], width: usize) -> Vec<u32> {
    let mut pages: Vec<u32> = index
        .iter()
        .flat_map(|&row| {
            let first = row as usize * width;
            (first / PAGE_FLOATS) as u32..=((first + width - 1) / PAGE_FLOATS) as u32
        })
        .collect();
    pages.sort_unstable();
    pages.dedup();
    pages
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const ROWS: usize = 300;

    fn table(width: usize) -> Vec<f32> {
        (0..ROWS * width).map(|at| (at as f32 * 0.37).sin()).collect()
    }

    fn index() -> Vec<u32> {
        // Duplicates, the first and the last row.
        let mut index: Vec<u32> = (0..60).map(|k| (k * 97 + 5) % ROWS as u32).collect();
        index.extend([0, 0, ROWS as u32 - 1, 5, 5, 5]);
        index
    }

    #[test]
    fn byte_counters_equal_brute_force() {
        let index = index();
        let by_use: Vec<u32> = (0..ROWS as u32).rev().collect();
        for width in [33, 100, 784] {
            let table = table(width);
            let traffic = |way| Fetcher::new(way, &table, width, index.len(), &by_use).gather(&index).traffic;
            assert_eq!(traffic(Way::Staged), Traffic { features: index.len() * width * 4, index: 0 });
            assert_eq!(traffic(Way::Resident), Traffic { features: 0, index: index.len() * 4 });
            let touched: BTreeSet<usize> = index
                .iter()
                .flat_map(|&row| (0..width).map(move |at| (row as usize * width + at) * 4 / PAGE))
                .collect();
            assert_eq!(traffic(Way::Paged), Traffic { features: touched.len() * PAGE, index: index.len() * 4 });
            let missed: BTreeSet<u32> = index.iter().copied().filter(|&row| row < 200).collect();
            assert_eq!(traffic(Way::Partial { hot: 100 }).features, missed.len() * width * 4);
        }
    }

    /// What the device's gather yields, computed on the host from places and buffer.
    fn delivered(fetcher: &Fetcher<'_>, index: &[u32]) -> Vec<f32> {
        let load = fetcher.gather(index);
        let mut buffer = vec![f32::NAN; fetcher.capacity()];
        for (slot, &row) in fetcher.resident.iter().enumerate() {
            buffer[slot * fetcher.width..][..fetcher.width].copy_from_slice(fetcher.row(row));
        }
        buffer[fetcher.resident.len() * fetcher.width..][..load.staging.len()].copy_from_slice(&load.staging);
        let starts: Vec<usize> = match fetcher.way {
            Way::Staged => (0..index.len()).map(|k| k * fetcher.width).collect(),
            Way::Paged => load.places.iter().map(|&place| place as usize).collect(),
            Way::Resident | Way::Partial { .. } => {
                load.places.iter().map(|&place| place as usize * fetcher.width).collect()
            }
        };
        starts.into_iter().flat_map(|start| buffer[start..start + fetcher.width].to_vec()).collect()
    }

    #[test]
    fn every_way_delivers_the_same_bits() {
        let index = index();
        let by_use: Vec<u32> = (0..ROWS as u32).rev().collect();
        for width in [1, 33, 784] {
            let table = table(width);
            let wanted: Vec<f32> =
                index.iter().flat_map(|&row| table[row as usize * width..][..width].to_vec()).collect();
            for way in [Way::Staged, Way::Resident, Way::Partial { hot: 100 }, Way::Partial { hot: 0 }, Way::Paged] {
                let fetcher = Fetcher::new(way, &table, width, index.len(), &by_use);
                assert_eq!(delivered(&fetcher, &index), wanted, "{way:?}, width {width}");
            }
        }
    }
}
