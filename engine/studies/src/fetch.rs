//! Ways to bring scattered rows of a host table to the device, each with a host side (what to upload for a list of rows)
//! and a device side (tensors that turn the upload into the rows). All deliver the same bits.

pub mod lines;

use burn::tensor::Tensor;

use engine::executor::{ExecError, Executor};
use engine::tape::{Table, Tape, Words};

/// Name of the buffer that holds features on the device.
const FEATURES: &str = "features";
/// Name of the step input that says where in it each row is.
const PLACES: &str = "places";

/// Bytes of a memory page.
pub const PAGE: usize = 4096;

/// Who performs the irregular access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The host gathers the rows into a fresh staging buffer and uploads it.
    Staged,
    /// So many of the rows used most live on the device; the others are staged behind them.
    Resident(usize),
    /// Every page that holds part of a row is uploaded; the device gathers from the pages.
    Paged,
}

/// What the host has prepared for one list of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Where the device finds each row; empty where it need not look.
    places: Vec<u32>,
    /// Freshly gathered features.
    staging: Vec<f32>,
    /// Of the distinct blocks (rows or pages) wanted, how many were on the device already, and how many there were.
    pub hits: [usize; 2],
}

impl Load {
    /// Bytes that cross from host to device: features, and where they are.
    pub fn bytes(&self) -> usize {
        4 * (self.staging.len() + self.places.len())
    }

    fn input(&self) -> Option<(&'static str, Words<'_>)> {
        (!self.places.is_empty()).then_some((PLACES, Words::Classes(&self.places)))
    }

    /// What a step that reads the rows is given, with numbers of its own as its input `name`.
    pub fn inputs<'l>(&'l self, name: &'static str, own: &'l [u32]) -> Vec<(&'static str, Words<'l>)> {
        self.input().into_iter().chain([(name, Words::Classes(own))]).collect()
    }
}

/// A table of features and a way to bring its rows to the device, `rows` at a time. What moves are blocks: rows or pages.
#[derive(Debug)]
pub struct Fetcher<'t> {
    way: Way,
    table: &'t [f32],
    width: usize,
    rows: usize,
    /// Floats of a block.
    block: usize,
    /// Blocks on the device, in order of their places there.
    resident: Vec<u32>,
    /// Place of each block of the table on the device.
    place: Vec<Option<u32>>,
}

impl<'t> Fetcher<'t> {
    /// `by_use` lists all rows of the table, those used most first.
    pub fn new(way: Way, table: &'t [f32], width: usize, rows: usize, by_use: &[u32]) -> Self {
        let (block, resident) = match way {
            Way::Staged => (width, vec![]),
            Way::Resident(count) => (width, by_use[..count.min(by_use.len())].to_vec()),
            Way::Paged => (PAGE / 4, vec![]),
        };
        let mut place = vec![None; table.len().div_ceil(block)];
        resident.iter().zip(0..).for_each(|(&row, slot)| place[row as usize] = Some(slot));
        Self { way, table, width, rows, block, resident, place }
    }

    fn block(&self, block: u32) -> &'t [f32] {
        let first = block as usize * self.block;
        &self.table[first..(first + self.block).min(self.table.len())]
    }

    /// The device's buffer.
    pub fn table(&self) -> Table {
        match self.way {
            Way::Staged => Table::numbers(FEATURES, [self.rows, self.width]),
            // In the worst case every row of a step is missing.
            Way::Resident(_) => {
                let missing = self.rows.min(self.place.len() - self.resident.len());
                Table::numbers(FEATURES, [self.resident.len() + missing, self.width])
            }
            Way::Paged => Table::numbers(FEATURES, [self.place.len() * self.block]),
        }
    }

    /// What lives there.
    pub fn contents(&self) -> Vec<f32> {
        let mut contents: Vec<f32> = self.resident.iter().flat_map(|&row| self.block(row)).copied().collect();
        contents.resize(self.table().len() / 4, 0.0);
        contents
    }

    /// The device side: the rows as `[rows, width]`.
    pub fn features(&self, tape: &mut Tape) -> Tensor<2> {
        let shape = [self.rows, self.width];
        match self.way {
            Way::Staged => tape.table(&self.table(), shape),
            Way::Resident(_) => tape.rows(&self.table(), PLACES, shape),
            Way::Paged => tape.windows(&self.table(), PLACES, shape),
        }
    }

    /// The host side: what the rows of `index` need, gathered anew.
    pub fn gather(&self, index: &[u32]) -> Load {
        if self.way == Way::Staged {
            let staging = index.iter().flat_map(|&row| self.block(row)).copied().collect();
            return Load { places: vec![], staging, hits: [0, index.len()] };
        }
        let first = |row: u32| row as usize * self.width;
        let touched = |&row: &u32| first(row) / self.block..=(first(row) + self.width - 1) / self.block;
        let mut wanted: Vec<u32> = index.iter().flat_map(touched).map(|block| block as u32).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let missing: Vec<u32> = wanted.iter().copied().filter(|&block| self.place[block as usize].is_none()).collect();
        let mut staging = Vec::with_capacity(missing.len() * self.block);
        for &block in &missing {
            staging.extend_from_slice(self.block(block));
            // The last page may go beyond the table.
            staging.resize(staging.len().next_multiple_of(self.block), 0.0);
        }
        // A row's pages follow each other on the device as they do in the table, so its floats do too.
        let place = |&row: &u32| {
            let block = (first(row) / self.block) as u32;
            let behind = || (self.resident.len() + missing.partition_point(|&other| other < block)) as u32;
            let slot = self.place[block as usize].unwrap_or_else(behind);
            if self.way == Way::Paged { slot * self.block as u32 + (first(row) % self.block) as u32 } else { slot }
        };
        let places = index.iter().map(place).collect();
        Load { places, staging, hits: [wanted.len() - missing.len(), wanted.len()] }
    }

    /// Uploads gathered features.
    ///
    /// # Errors
    /// The executor fails.
    pub fn upload(&self, executor: &mut impl Executor, load: &Load) -> Result<(), ExecError> {
        if load.staging.is_empty() {
            return Ok(());
        }
        executor.write_at(FEATURES, 4 * self.resident.len() * self.width, bytemuck::cast_slice(&load.staging))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use engine::cpu::CpuExecutor;
    use engine::model::Mode;
    use engine::tape::{Breathless, Home, Play, trace};

    use super::*;

    const ROWS: usize = 300;

    /// A table, row numbers with duplicates, the first and the last row, and rows by use.
    fn example(width: usize) -> (Vec<f32>, Vec<u32>, Vec<u32>) {
        let table = (0..ROWS * width).map(|at| (at as f32 * 0.37).sin()).collect();
        let index = (0..60).map(|k| (k * 97 + 5) % ROWS as u32).chain([0, 0, ROWS as u32 - 1, 5, 5]).collect();
        (table, index, (0..ROWS as u32).rev().collect())
    }

    #[test]
    fn byte_counters_equal_brute_force() {
        for width in [33, 100, 784] {
            let (table, index, by_use) = example(width);
            let bytes = |way| Fetcher::new(way, &table, width, index.len(), &by_use).gather(&index).bytes();
            let numbers = 4 * index.len();
            assert_eq!(bytes(Way::Staged), numbers * width);
            assert_eq!(bytes(Way::Resident(ROWS)), numbers);
            let floats = index.iter().flat_map(|&row| row as usize * width..(row as usize + 1) * width);
            let touched: BTreeSet<usize> = floats.map(|at| at * 4 / PAGE).collect();
            assert_eq!(bytes(Way::Paged), touched.len() * PAGE + numbers);
            let missed: BTreeSet<&u32> = index.iter().filter(|&&row| row < 200).collect();
            assert_eq!(bytes(Way::Resident(100)), missed.len() * width * 4 + numbers);
        }
    }

    #[test]
    fn every_way_delivers_the_same_bits() {
        for width in [1, 33, 784] {
            let (table, index, by_use) = example(width);
            let wanted: Vec<f32> =
                index.iter().flat_map(|&row| table[row as usize * width..][..width].to_vec()).collect();
            for way in [Way::Staged, Way::Resident(ROWS), Way::Resident(100), Way::Resident(0), Way::Paged] {
                let fetcher = Fetcher::new(way, &table, width, index.len(), &by_use);
                let delivered = pollster::block_on(async {
                    let traced = trace("rows", Mode::Eval, |tape| {
                        // A sum with zero: what is read, and not the table itself, is kept.
                        let rows = fetcher.features(tape) + 0.0;
                        tape.fetch("rows", &rows);
                        Ok(())
                    });
                    let home = Home::new(Some(CpuExecutor::new()).into());
                    let mut play = Play::new(&home, Breathless, 1)?;
                    play.table(&fetcher.table(), &fetcher.contents())?;
                    let step = play.add(traced.unwrap()).await?;
                    let load = fetcher.gather(&index);
                    let before = play.executor()?.counters().bytes_uploaded;
                    fetcher.upload(play.executor()?, &load)?;
                    let uploaded = play.executor()?.counters().bytes_uploaded - before;
                    assert_eq!(uploaded as usize, 4 * load.staging.len(), "{way:?}");
                    play.run(step, load.input().as_slice()).await?;
                    play.fetch(step, "rows").await
                });
                assert_eq!(delivered.unwrap(), wanted, "{way:?}, width {width}");
            }
        }
    }
}
