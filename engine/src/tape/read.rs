//! What a step reads: tables, inputs, states, draws.

use burn::tensor::{Distribution, Int, Tensor, kind::Basic};

use super::write::Source;
use super::{Table, Tape};
use crate::graph::capture::value_id;
use crate::graph::{DType, InputKind, NodeId, numel};

impl Tape {
    /// Rows of a table in the given shape, whose first axis is that of the rows. `index` is a step input, their numbers.
    pub fn rows<const D: usize>(&mut self, table: &Table, index: &str, shape: [usize; D]) -> Tensor<D> {
        self.check_rows(table, &shape, table.dtype != DType::U32);
        let tensor = Tensor::empty(shape, &self.device);
        self.source(&tensor, Source::Rows { table: table.clone(), index: index.to_owned(), shape: shape.to_vec() });
        tensor
    }

    /// The same of a table of classes.
    pub fn row_classes<const D: usize>(&mut self, table: &Table, index: &str, shape: [usize; D]) -> Tensor<D, Int> {
        self.check_rows(table, &shape, table.dtype == DType::U32);
        let tensor = Tensor::empty(shape, &self.device);
        self.source(&tensor, Source::Rows { table: table.clone(), index: index.to_owned(), shape: shape.to_vec() });
        tensor
    }

    /// Rows after each other, a window from each row number of the step input `index` on: characters of a text, steps of a
    /// series. The first axis of `shape` is that of the windows, the second that of a window's rows.
    pub fn windows<const D: usize>(&mut self, table: &Table, index: &str, shape: [usize; D]) -> Tensor<D> {
        self.check_windows(table, &shape, table.dtype != DType::U32);
        let tensor = Tensor::empty(shape, &self.device);
        self.source(&tensor, Source::Windows { table: table.clone(), index: index.to_owned(), shape: shape.to_vec() });
        tensor
    }

    /// The same of a table of classes.
    pub fn window_classes<const D: usize>(&mut self, table: &Table, index: &str, shape: [usize; D]) -> Tensor<D, Int> {
        self.check_windows(table, &shape, table.dtype == DType::U32);
        let tensor = Tensor::empty(shape, &self.device);
        self.source(&tensor, Source::Windows { table: table.clone(), index: index.to_owned(), shape: shape.to_vec() });
        tensor
    }

    /// All of a table of numbers.
    pub fn table<const D: usize>(&mut self, table: &Table, shape: [usize; D]) -> Tensor<D> {
        if table.dtype != DType::F32 || numel(&shape) != table.rows * table.width {
            self.fail(&table.name, &format!("{} x {} {:?} are not {shape:?}", table.rows, table.width, table.dtype));
        }
        let tensor = Tensor::empty(shape, &self.device);
        self.source(&tensor, Source::Table { table: table.clone(), shape: shape.to_vec() });
        tensor
    }

    /// Numbers that the host gives to each run.
    pub fn input<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Tensor<D> {
        let tensor = Tensor::empty(shape, &self.device);
        self.declare(&tensor, name, &shape, DType::F32, InputKind::Step);
        tensor
    }

    /// Classes, characters or row numbers that the host gives to each run.
    pub fn labels<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Tensor<D, Int> {
        let tensor = Tensor::empty(shape, &self.device);
        self.declare(&tensor, name, &shape, DType::U32, InputKind::Step);
        tensor
    }

    /// Numbers that stay on the device from run to run, zeros at the start: anchors, memories, running moments.
    /// [`Self::keep`] changes them.
    pub fn state<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Tensor<D> {
        let tensor = Tensor::empty(shape, &self.device);
        self.declare(&tensor, name, &shape, DType::F32, InputKind::State);
        tensor
    }

    /// Draws from [0, 1), new ones in each run.
    pub fn uniform<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Default, &self.device)
    }

    /// Standard normal draws, new ones in each run, by Box and Muller.
    pub fn normal<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        // 1 - u lies in (0, 1]: the logarithm is finite.
        let radius = ((self.uniform(shape).neg() + 1.0).log() * -2.0).sqrt();
        radius * (self.uniform(shape) * std::f64::consts::TAU).cos()
    }

    /// A node that the graph has already, f32.
    pub(crate) fn node<const D: usize>(&mut self, node: NodeId, shape: [usize; D]) -> Tensor<D> {
        let tensor = Tensor::empty(shape, &self.device);
        self.source(&tensor, Source::Node(node));
        tensor
    }

    /// A node that the graph has already, u32.
    pub(crate) fn int_node<const D: usize>(&mut self, node: NodeId, shape: [usize; D]) -> Tensor<D, Int> {
        let tensor = Tensor::empty(shape, &self.device);
        self.source(&tensor, Source::Node(node));
        tensor
    }

    fn declare<const D: usize, K: Basic>(
        &mut self,
        tensor: &Tensor<D, K>,
        name: &str,
        shape: &[usize],
        dtype: DType,
        kind: InputKind,
    ) {
        self.source(tensor, Source::Input { name: name.to_owned(), shape: shape.to_vec(), dtype, kind });
    }

    fn source<const D: usize, K: Basic>(&mut self, tensor: &Tensor<D, K>, source: Source) {
        self.sources.extend(value_id(tensor).map(|id| (id, source)));
    }

    fn check_rows(&mut self, table: &Table, shape: &[usize], fits: bool) {
        let batch = shape.first().copied().unwrap_or(1);
        if !fits || numel(shape) != batch * table.width {
            let reason = format!("rows of {} {:?} do not have the shape {shape:?}", table.width, table.dtype);
            self.fail(&table.name, &reason);
        }
    }

    fn check_windows(&mut self, table: &Table, shape: &[usize], fits: bool) {
        let rows = shape.iter().take(2).product::<usize>();
        // Row numbers are added up as f32.
        if !fits || shape.len() < 2 || numel(shape) != rows * table.width || table.rows >= 1 << f32::MANTISSA_DIGITS {
            let reason = format!("{} rows of {} {:?} have no windows {shape:?}", table.rows, table.width, table.dtype);
            self.fail(&table.name, &reason);
        }
    }
}
