//! From burn to [`Graph`]: records the operations of a forward pass without running it and maps each to ours.
//!
//! This file alone knows `burn_ir`. What burn records as one operation (softmax, layer norm, GELU, linear) becomes a
//! few elementwise operations, reductions and products here, so that derivatives and fusion need not know it.

use std::collections::BTreeMap;

use burn::backend::{BackendTensor, DispatchTensorKind};
use burn::tensor::{Device, Distribution, Tensor, TensorData, kind::Basic};
use burn_ir::{
    ActivationOperationIr, BaseOperationIr, BoolOperationIr, CustomOpIr, FloatOperationIr, IntOperationIr,
    ModuleOperationIr, NumericOperationIr, OperationIr, PadModeIr, ReduceDimOpIr, ScalarIr, TensorId, TensorIr,
};
use burn_router::RouterClient;

use super::*;

/// Name under which [`stop_gradient`] is recorded.
const STOP_GRADIENT: &str = "stop_gradient";

/// Identity of a tensor within a recording.
pub type ValueId = TensorId;

/// The operations of a forward pass, in order.
#[derive(Debug)]
pub struct Recording {
    operations: Vec<OperationIr>,
    values: BTreeMap<TensorId, TensorData>,
}

thread_local! {
    /// One a thread: burn never recycles the numbers of its capture devices, and has 65,536.
    static DEVICE: Device = Device::capture();
}

/// Records what `forward` does on the capture device that it is given.
pub fn record<T>(forward: impl FnOnce(&Device) -> T) -> Result<(Recording, T), GraphError> {
    let device = DEVICE.with(Device::clone);
    let mut result = None;
    // No boundaries are declared: the operations alone tell the graph, and tensors are known by their ids.
    let captured = device.capture_scope(|scope| {
        result = Some(forward(&device));
        scope.complete([], [])
    });
    match (captured, result) {
        (Ok(captured), Some(result)) => {
            Ok((Recording { operations: captured.graph.operations, values: captured.values }, result))
        }
        (Err(error), _) => Err(unsupported(&error.to_string(), "capture")),
        (Ok(_), None) => Err(unsupported("a scope without a result", "capture")),
    }
}

/// Identity of a tensor on the capture device; `None` for a tensor that lives elsewhere.
pub fn value_id<const D: usize, K: Basic>(tensor: &Tensor<D, K>) -> Option<ValueId> {
    match tensor.clone().into_dispatch().kind {
        DispatchTensorKind::Capture(BackendTensor::Float(inner)) => Some(inner.id()),
        DispatchTensorKind::Capture(BackendTensor::Int(inner)) => Some(inner.id()),
        DispatchTensorKind::Capture(BackendTensor::Bool(inner)) => Some(inner.id()),
        _ => None,
    }
}

/// The same value, through which no derivative flows; also under capture, where burn's `detach` leaves no trace.
pub fn stop_gradient<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let mut dispatch = tensor.clone().into_dispatch();
    let DispatchTensorKind::Capture(BackendTensor::Float(inner)) = dispatch.kind else { return tensor.detach() };
    let client = inner.client.clone();
    let input = inner.into_ir();
    let out = TensorIr::uninit(client.create_empty_handle(), input.shape.clone(), input.dtype);
    let stopped = burn_router::RouterTensor::new(out.id, out.shape.clone(), out.dtype, client.clone());
    client.register_op(OperationIr::Custom(CustomOpIr::new(STOP_GRADIENT, &[input], &[out])));
    dispatch.kind = DispatchTensorKind::Capture(BackendTensor::Float(stopped));
    Tensor::from_dispatch(dispatch)
}

impl Recording {
    /// Appends the recorded operations to a graph and yields the node of every recorded tensor.
    ///
    /// `bound` names tensors that have a node already (parameters, the input), whatever recorded operation made them,
    /// with the module path that nodes from there on are labelled with (empty: no change). `key` is asked for the
    /// step's RNG key when the first random operation is met.
    pub fn append(
        &self,
        graph: &mut Graph,
        bound: &BTreeMap<ValueId, (NodeId, String)>,
        key: impl Fn(&mut Graph) -> Result<NodeId, GraphError>,
    ) -> Result<BTreeMap<ValueId, NodeId>, GraphError> {
        let nodes = bound.iter().map(|(&id, &(node, _))| (id, node)).collect();
        let mut mapper = Mapper { graph, nodes, values: &self.values, key, stream: 0, module: String::new() };
        for operation in &self.operations {
            if operation.outputs().any(|out| bound.contains_key(&out.id)) {
                continue;
            }
            // The module is that of the parameter used last: operations carry no path of their own.
            let path = operation.inputs().filter_map(|arg| bound.get(&arg.id)).map(|(_, path)| path);
            if let Some(path) = path.filter(|path| !path.is_empty()).last() {
                mapper.module.clone_from(path);
                mapper.graph.set_label(path);
            }
            mapper.operation(operation)?;
        }
        let nodes = mapper.nodes;
        graph.set_label("");
        Ok(nodes)
    }
}

fn unsupported(op: &str, module: &str) -> GraphError {
    GraphError::Unsupported { op: op.to_owned(), module: module.to_owned() }
}

struct Mapper<'a, K> {
    graph: &'a mut Graph,
    nodes: BTreeMap<TensorId, NodeId>,
    values: &'a BTreeMap<TensorId, TensorData>,
    key: K,
    /// Number of the next random value; models count theirs from 0.
    stream: u32,
    module: String,
}

impl<K: Fn(&mut Graph) -> Result<NodeId, GraphError>> Mapper<'_, K> {
    fn operation(&mut self, operation: &OperationIr) -> Result<(), GraphError> {
        let node = match operation {
            OperationIr::BaseFloat(op) | OperationIr::BaseInt(op) | OperationIr::BaseBool(op) => self.base(op)?,
            OperationIr::NumericFloat(_, op) => self.numeric(op)?,
            OperationIr::Float(_, op) => self.float(op)?,
            OperationIr::Bool(op) => self.boolean(op)?,
            OperationIr::Int(IntOperationIr::IntoFloat(op)) => {
                let x = self.node(&op.input)?;
                Some(self.graph.cast(x, DType::F32)?)
            }
            OperationIr::Module(op) => self.module(op)?,
            OperationIr::Activation(op) => self.activation(op)?,
            OperationIr::Custom(op) if op.id == STOP_GRADIENT => {
                let x = self.node(&op.inputs[0])?;
                Some(self.graph.stop_gradient(x))
            }
            // Values that the host gave are looked up when they are used.
            OperationIr::Init(_) | OperationIr::Drop(_) => return Ok(()),
            _ => None,
        };
        let mut outputs = operation.outputs();
        match (node, outputs.next(), outputs.next()) {
            (Some(node), Some(out), None) => {
                if self.graph.shape(node) != out.shape.as_slice() {
                    let found = self.graph.shape(node);
                    let reason = format!("mapped to shape {found:?} instead of {:?}", out.shape.as_slice());
                    return Err(GraphError::Shape { op: format!("{} in {}", name(operation), self.module), reason });
                }
                self.nodes.insert(out.id, node);
                Ok(())
            }
            _ => Err(unsupported(&name(operation), &self.module)),
        }
    }

    /// The node of an argument; tensors that the host gave become constants.
    fn node(&mut self, tensor: &TensorIr) -> Result<NodeId, GraphError> {
        if let Some(&node) = self.nodes.get(&tensor.id) {
            return Ok(node);
        }
        let Some(data) = self.values.get(&tensor.id) else {
            return Err(unsupported(&format!("tensor {} that nothing made", tensor.id), &self.module));
        };
        let values: Vec<f32> = data.clone().convert::<f32>().try_to_vec().map_err(|e| {
            let op = format!("constant of type {:?}: {e:?}", tensor.dtype);
            unsupported(&op, &self.module)
        })?;
        let shape = tensor.shape.as_slice();
        let counts = values.iter().enumerate().all(|(k, &v)| v == k as f32);
        let node = match values.first() {
            Some(&first) if values.iter().all(|v| v.to_bits() == first.to_bits()) => self.graph.constant(first, shape),
            _ if counts && shape.len() == 1 => self.graph.iota(shape, 0)?,
            _ => self.graph.literal(&values, shape)?,
        };
        let node = match tensor.dtype {
            dtype if dtype.is_int() || dtype.is_uint() => self.graph.cast(node, DType::U32)?,
            _ => node,
        };
        self.nodes.insert(tensor.id, node);
        Ok(node)
    }

    fn base(&mut self, op: &BaseOperationIr) -> Result<Option<NodeId>, GraphError> {
        Ok(Some(match op {
            BaseOperationIr::Reshape(op) => {
                let x = self.node(&op.input)?;
                self.graph.reshape(x, op.out.shape.as_slice())?
            }
            BaseOperationIr::SwapDims(op) => {
                let x = self.node(&op.input)?;
                let mut perm: Vec<usize> = (0..self.graph.shape(x).len()).collect();
                perm.swap(op.dim1, op.dim2);
                self.graph.permute(x, &perm)?
            }
            BaseOperationIr::Permute(op) => {
                let x = self.node(&op.input)?;
                self.graph.permute(x, &op.axes)?
            }
            BaseOperationIr::Expand(op) => {
                let x = self.node(&op.input)?;
                self.graph.broadcast_to(x, op.out.shape.as_slice())?
            }
            BaseOperationIr::Slice(op) => {
                let x = self.node(&op.tensor)?;
                let sizes = self.graph.shape(x).to_vec();
                let (mut start, mut step) = (vec![0; sizes.len()], vec![1; sizes.len()]);
                for (axis, range) in op.ranges.iter().enumerate() {
                    if range.step < 1 {
                        return Ok(None);
                    }
                    start[axis] = range.to_range(sizes[axis]).start;
                    step[axis] = range.step as usize;
                }
                self.graph.slice_step(x, &start, op.out.shape.as_slice(), &step)?
            }
            BaseOperationIr::Select(op) => {
                let (x, index) = (self.node(&op.tensor)?, self.node(&op.indices)?);
                match op.dim {
                    0 => self.graph.take_rows(x, index)?,
                    axis => {
                        let mut lined = vec![1; self.graph.shape(x).len()];
                        lined[axis] = numel(self.graph.shape(index));
                        let index = self.graph.reshape(index, &lined)?;
                        let index = self.graph.broadcast_to(index, op.out.shape.as_slice())?;
                        self.graph.gather(x, index, axis)?
                    }
                }
            }
            BaseOperationIr::Gather(op) => {
                let (x, index) = (self.node(&op.tensor)?, self.node(&op.indices)?);
                self.graph.gather(x, index, op.dim)?
            }
            BaseOperationIr::MaskWhere(op) => {
                let (x, mask, value) = (self.node(&op.tensor)?, self.node(&op.mask)?, self.node(&op.value)?);
                self.graph.select(mask, value, x)?
            }
            BaseOperationIr::MaskFill(op) => {
                let (x, mask) = (self.node(&op.tensor)?, self.node(&op.mask)?);
                let value = self.graph.constant(scalar(&op.value), &[]);
                self.graph.select(mask, value, x)?
            }
            BaseOperationIr::Cat(op) => {
                let parts = op.tensors.iter().map(|part| self.node(part)).collect::<Result<Vec<_>, _>>()?;
                self.graph.concat(&parts, op.dim)?
            }
            BaseOperationIr::RepeatDim(op) => {
                let x = self.node(&op.tensor)?;
                let copies = vec![x; op.times];
                self.graph.concat(&copies, op.dim)?
            }
            BaseOperationIr::Ones(op) => self.graph.constant(1.0, op.out.shape.as_slice()),
            BaseOperationIr::Zeros(op) => self.graph.constant(0.0, op.out.shape.as_slice()),
            BaseOperationIr::Equal(op) => self.binary(BinaryOp::Equal, &op.lhs, &op.rhs)?,
            BaseOperationIr::EqualElem(op) => self.binary_scalar(BinaryOp::Equal, &op.lhs, &op.rhs)?,
            BaseOperationIr::NotEqual(op) => {
                let equal = self.binary(BinaryOp::Equal, &op.lhs, &op.rhs)?;
                self.not(equal)?
            }
            BaseOperationIr::NotEqualElem(op) => {
                let equal = self.binary_scalar(BinaryOp::Equal, &op.lhs, &op.rhs)?;
                self.not(equal)?
            }
            BaseOperationIr::Cast(op) if op.input.dtype == op.out.dtype => self.node(&op.input)?,
            _ => return Ok(None),
        }))
    }

    fn numeric(&mut self, op: &NumericOperationIr) -> Result<Option<NodeId>, GraphError> {
        use NumericOperationIr as N;
        Ok(Some(match op {
            N::Add(op) => self.binary(BinaryOp::Add, &op.lhs, &op.rhs)?,
            N::Sub(op) => self.binary(BinaryOp::Sub, &op.lhs, &op.rhs)?,
            N::Mul(op) => self.binary(BinaryOp::Mul, &op.lhs, &op.rhs)?,
            N::Div(op) => self.binary(BinaryOp::Div, &op.lhs, &op.rhs)?,
            N::AddScalar(op) => self.binary_scalar(BinaryOp::Add, &op.lhs, &op.rhs)?,
            N::SubScalar(op) => self.binary_scalar(BinaryOp::Sub, &op.lhs, &op.rhs)?,
            N::MulScalar(op) => self.binary_scalar(BinaryOp::Mul, &op.lhs, &op.rhs)?,
            N::DivScalar(op) => {
                let x = self.node(&op.lhs)?;
                self.graph.scale(x, (1.0 / scalar64(&op.rhs)) as f32)?
            }
            // a > b is b < a.
            N::Greater(op) => self.binary(BinaryOp::Less, &op.rhs, &op.lhs)?,
            N::GreaterEqual(op) => self.binary(BinaryOp::LessEqual, &op.rhs, &op.lhs)?,
            N::Lower(op) => self.binary(BinaryOp::Less, &op.lhs, &op.rhs)?,
            N::LowerEqual(op) => self.binary(BinaryOp::LessEqual, &op.lhs, &op.rhs)?,
            N::GreaterElem(op) => self.scalar_binary(BinaryOp::Less, &op.rhs, &op.lhs)?,
            N::GreaterEqualElem(op) => self.scalar_binary(BinaryOp::LessEqual, &op.rhs, &op.lhs)?,
            N::LowerElem(op) => self.binary_scalar(BinaryOp::Less, &op.lhs, &op.rhs)?,
            N::LowerEqualElem(op) => self.binary_scalar(BinaryOp::LessEqual, &op.lhs, &op.rhs)?,
            N::ClampMin(op) => self.binary_scalar(BinaryOp::Max, &op.lhs, &op.rhs)?,
            N::ClampMax(op) => self.binary_scalar(BinaryOp::Min, &op.lhs, &op.rhs)?,
            N::Clamp(op) => {
                let x = self.node(&op.tensor)?;
                let low = self.graph.constant(scalar(&op.min), &[]);
                let high = self.graph.constant(scalar(&op.max), &[]);
                let x = self.graph.binary(BinaryOp::Max, x, low)?;
                self.graph.binary(BinaryOp::Min, x, high)?
            }
            N::Abs(op) => self.unary(UnaryOp::Abs, &op.input)?,
            N::Neg(op) => self.unary(UnaryOp::Neg, &op.input)?,
            N::Sign(op) => self.unary(UnaryOp::Sign, &op.input)?,
            N::Full(op) => self.graph.constant(scalar(&op.value), op.out.shape.as_slice()),
            N::Sum(op) => {
                let x = self.node(&op.input)?;
                let total = self.graph.sum_all(x)?;
                self.graph.reshape(total, op.out.shape.as_slice())?
            }
            N::Mean(op) => {
                let x = self.node(&op.input)?;
                let axes: Vec<usize> = (0..self.graph.shape(x).len()).collect();
                let mean = self.graph.mean(x, &axes)?;
                self.graph.reshape(mean, op.out.shape.as_slice())?
            }
            N::SumDim(op) => self.reduce(ReduceOp::Sum, op)?,
            N::MaxDim(op) => self.reduce(ReduceOp::Max, op)?,
            N::MinDim(op) => self.reduce(ReduceOp::Min, op)?,
            N::MeanDim(op) => {
                let x = self.node(&op.input)?;
                self.graph.mean(x, &[op.axis])?
            }
            N::SumDims(op) => {
                let x = self.node(&op.input)?;
                self.graph.sum(x, &op.axes)?
            }
            N::ArgMax(op) => {
                let x = self.node(&op.input)?;
                self.graph.argmax(x, op.axis)?
            }
            N::PowiScalar(op) => match self.power(&op.lhs, &op.rhs)? {
                Some(node) => node,
                None => return Ok(None),
            },
            N::Pad(op) => {
                let PadModeIr::Constant(value) = op.mode else { return Ok(None) };
                if scalar64(&value) != 0.0 {
                    return Ok(None);
                }
                let x = self.node(&op.input)?;
                let rank = self.graph.shape(x).len();
                let mut start = vec![0; rank - op.padding.len()];
                start.extend(op.padding.iter().map(|&(before, _)| before));
                self.graph.unslice(x, &start, &vec![1; rank], op.out.shape.as_slice())?
            }
            _ => return Ok(None),
        }))
    }

    fn float(&mut self, op: &FloatOperationIr) -> Result<Option<NodeId>, GraphError> {
        use FloatOperationIr as F;
        Ok(Some(match op {
            F::Exp(op) => self.unary(UnaryOp::Exp, &op.input)?,
            F::Log(op) => self.unary(UnaryOp::Log, &op.input)?,
            F::Erf(op) => self.unary(UnaryOp::Erf, &op.input)?,
            F::Sqrt(op) => self.unary(UnaryOp::Sqrt, &op.input)?,
            F::Cos(op) => self.unary(UnaryOp::Cos, &op.input)?,
            F::Sin(op) => self.unary(UnaryOp::Sin, &op.input)?,
            F::Tanh(op) => self.unary(UnaryOp::Tanh, &op.input)?,
            F::Floor(op) => self.unary(UnaryOp::Floor, &op.input)?,
            F::Recip(op) => self.unary(UnaryOp::Recip, &op.input)?,
            F::Powf(op) => self.binary(BinaryOp::Pow, &op.lhs, &op.rhs)?,
            F::PowfScalar(op) => match self.power(&op.lhs, &op.rhs)? {
                Some(node) => node,
                None => return Ok(None),
            },
            F::Matmul(op) => {
                let (a, b) = (self.node(&op.lhs)?, self.node(&op.rhs)?);
                self.matmul(a, b)?
            }
            F::Random(op) => {
                let uniform = self.random(op.out.shape.as_slice())?;
                match op.distribution {
                    Distribution::Default => uniform,
                    Distribution::Uniform(low, high) => {
                        let scaled = self.graph.scale(uniform, (high - low) as f32)?;
                        self.graph.add_scalar(scaled, low as f32)?
                    }
                    Distribution::Bernoulli(probability) => {
                        let bound = self.graph.constant(probability as f32, &[]);
                        self.graph.binary(BinaryOp::Less, uniform, bound)?
                    }
                    Distribution::Normal(..) => return Ok(None),
                }
            }
            _ => return Ok(None),
        }))
    }

    fn boolean(&mut self, op: &BoolOperationIr) -> Result<Option<NodeId>, GraphError> {
        use BoolOperationIr as B;
        Ok(Some(match op {
            // Masks are zeros and ones already.
            B::IntoFloat(op) => self.node(&op.input)?,
            B::Not(op) => {
                let x = self.node(&op.input)?;
                self.not(x)?
            }
            B::And(op) => self.binary(BinaryOp::Mul, &op.lhs, &op.rhs)?,
            B::Or(op) => self.binary(BinaryOp::Max, &op.lhs, &op.rhs)?,
            _ => return Ok(None),
        }))
    }

    fn module(&mut self, op: &ModuleOperationIr) -> Result<Option<NodeId>, GraphError> {
        use ModuleOperationIr as M;
        Ok(Some(match op {
            M::Embedding(op) => {
                let (table, index) = (self.node(&op.weights)?, self.node(&op.indices)?);
                self.graph.take_rows(table, index)?
            }
            M::Linear(op) => {
                let (x, weight) = (self.node(&op.x)?, self.node(&op.weight)?);
                let [inputs, _] = *self.graph.shape(weight) else { return Ok(None) };
                let rows = numel(self.graph.shape(x)) / inputs.max(1);
                let x = self.graph.reshape(x, &[rows, inputs])?;
                let product = self.graph.matmul(x, weight)?;
                let y = match &op.bias {
                    Some(bias) => {
                        let bias = self.node(bias)?;
                        self.graph.add(product, bias)?
                    }
                    None => product,
                };
                self.graph.reshape(y, op.out.shape.as_slice())?
            }
            M::Conv2d(op) => {
                let (x, kernel) = (self.node(&op.x)?, self.node(&op.weight)?);
                let &[_, _, kh, kw] = self.graph.shape(kernel) else { return Ok(None) };
                let pads = op.options.padding;
                if pads.iter().any(|(before, after)| before != after) {
                    return Ok(None);
                }
                let geometry = ConvGeometry {
                    kernel: [kh, kw],
                    stride: op.options.stride,
                    padding: pads.map(|(before, _)| before),
                    dilation: op.options.dilation,
                    groups: op.options.groups,
                };
                let y = self.graph.conv2d(x, kernel, geometry)?;
                match &op.bias {
                    Some(bias) => {
                        let bias = self.node(bias)?;
                        let channels = numel(self.graph.shape(bias));
                        let bias = self.graph.reshape(bias, &[1, channels, 1, 1])?;
                        self.graph.add(y, bias)?
                    }
                    None => y,
                }
            }
            M::MaxPool2d(op) if !op.ceil_mode => {
                let x = self.node(&op.x)?;
                let geometry = PoolGeometry {
                    kernel: op.kernel_size,
                    stride: op.stride,
                    padding: op.padding,
                    dilation: op.dilation,
                    groups: 1,
                };
                self.graph.max_pool2d(x, geometry)?
            }
            M::AdaptiveAvgPool2d(op) if op.output_size == [1, 1] => {
                let x = self.node(&op.x)?;
                self.graph.mean(x, &[2, 3])?
            }
            M::LayerNorm(op) => {
                let (x, gamma) = (self.node(&op.input)?, self.node(&op.gamma)?);
                let Some(last) = self.graph.shape(x).len().checked_sub(1) else { return Ok(None) };
                let mean = self.graph.mean(x, &[last])?;
                let centred = self.graph.sub(x, mean)?;
                let square = self.graph.mul(centred, centred)?;
                let variance = self.graph.mean(square, &[last])?;
                let variance = self.graph.add_scalar(variance, scalar(&op.epsilon))?;
                let inverse = self.graph.unary(UnaryOp::Rsqrt, variance)?;
                let normal = self.graph.mul(centred, inverse)?;
                let scaled = self.graph.mul(normal, gamma)?;
                match &op.beta {
                    Some(beta) => {
                        let beta = self.node(beta)?;
                        self.graph.add(scaled, beta)?
                    }
                    None => scaled,
                }
            }
            _ => return Ok(None),
        }))
    }

    fn activation(&mut self, op: &ActivationOperationIr) -> Result<Option<NodeId>, GraphError> {
        use ActivationOperationIr as A;
        Ok(Some(match op {
            A::Relu(op) => self.unary(UnaryOp::Relu, &op.input)?,
            A::Sigmoid(op) => self.unary(UnaryOp::Sigmoid, &op.input)?,
            A::Gelu(op) => {
                // x Phi(x), exact.
                let x = self.node(&op.input)?;
                let scaled = self.graph.scale(x, std::f32::consts::FRAC_1_SQRT_2)?;
                let erf = self.graph.unary(UnaryOp::Erf, scaled)?;
                let doubled = self.graph.add_scalar(erf, 1.0)?;
                let phi = self.graph.scale(doubled, 0.5)?;
                self.graph.mul(x, phi)?
            }
            A::Softmax(op) => {
                let x = self.node(&op.input)?;
                self.graph.softmax(x, op.axis)?
            }
            A::LogSoftmax(op) => {
                let x = self.node(&op.input)?;
                self.graph.log_softmax(x, op.axis)?
            }
            _ => return Ok(None),
        }))
    }

    fn unary(&mut self, op: UnaryOp, x: &TensorIr) -> Result<NodeId, GraphError> {
        let x = self.node(x)?;
        self.graph.unary(op, x)
    }

    fn binary(&mut self, op: BinaryOp, a: &TensorIr, b: &TensorIr) -> Result<NodeId, GraphError> {
        let (a, b) = (self.node(a)?, self.node(b)?);
        self.graph.binary(op, a, b)
    }

    fn binary_scalar(&mut self, op: BinaryOp, a: &TensorIr, b: &ScalarIr) -> Result<NodeId, GraphError> {
        let a = self.node(a)?;
        let b = self.graph.constant(scalar(b), &[]);
        self.graph.binary(op, a, b)
    }

    fn scalar_binary(&mut self, op: BinaryOp, a: &ScalarIr, b: &TensorIr) -> Result<NodeId, GraphError> {
        let b = self.node(b)?;
        let a = self.graph.constant(scalar(a), &[]);
        self.graph.binary(op, a, b)
    }

    fn reduce(&mut self, reduce: ReduceOp, op: &ReduceDimOpIr) -> Result<NodeId, GraphError> {
        let x = self.node(&op.input)?;
        self.graph.reduce(reduce, x, &[op.axis])
    }

    fn not(&mut self, mask: NodeId) -> Result<NodeId, GraphError> {
        let zero = self.graph.constant(0.0, &[]);
        self.graph.binary(BinaryOp::Equal, mask, zero)
    }

    /// Powers with a cheap form; `None` for others, whose base may be negative.
    fn power(&mut self, x: &TensorIr, exponent: &ScalarIr) -> Result<Option<NodeId>, GraphError> {
        let x = self.node(x)?;
        Ok(match scalar(exponent) {
            2.0 => Some(self.graph.mul(x, x)?),
            1.0 => Some(x),
            0.5 => Some(self.graph.unary(UnaryOp::Sqrt, x)?),
            -0.5 => Some(self.graph.unary(UnaryOp::Rsqrt, x)?),
            -1.0 => Some(self.graph.unary(UnaryOp::Recip, x)?),
            _ => None,
        })
    }

    /// burn broadcasts the leading axes of a product. A right side without any (a layer's weights) becomes one product
    /// with all rows of the left: batched, its gradient would be a matrix for each example, to be summed.
    fn matmul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        let (sa, sb) = (self.graph.shape(a).to_vec(), self.graph.shape(b).to_vec());
        let (Some(ka), Some(kb)) = (sa.len().checked_sub(2), sb.len().checked_sub(2)) else {
            return self.graph.matmul(a, b);
        };
        if numel(&sb[..kb]) == 1 && ka >= kb {
            let rows = self.graph.reshape(a, &[numel(&sa[..=ka]), sa[ka + 1]])?;
            let weights = self.graph.reshape(b, &sb[kb..])?;
            let product = self.graph.matmul(rows, weights)?;
            return self.graph.reshape(product, &[&sa[..=ka], &sb[kb + 1..]].concat());
        }
        let Some(batch) = broadcast_shapes(&sa[..ka], &sb[..kb]) else { return self.graph.matmul(a, b) };
        let a = self.graph.broadcast_to(a, &[&batch, &sa[ka..]].concat())?;
        let b = self.graph.broadcast_to(b, &[&batch, &sb[kb..]].concat())?;
        self.graph.matmul(a, b)
    }

    fn random(&mut self, shape: &[usize]) -> Result<NodeId, GraphError> {
        let key = (self.key)(self.graph)?;
        let stream = self.stream;
        self.stream += 1;
        self.graph.random(key, stream, shape)
    }
}

fn scalar64(value: &ScalarIr) -> f64 {
    value.elem()
}

fn scalar(value: &ScalarIr) -> f32 {
    scalar64(value) as f32
}

/// The operation's own name ("CumSum"): of its debug text `NumericFloat(F32, CumSum(DimOpIr { ..`, the word before the
/// struct of its operands.
fn name(operation: &OperationIr) -> String {
    let text = format!("{operation:?}");
    let head = text.split(" {").next().unwrap_or_default();
    let words: Vec<&str> = head.split(['(', ',', ' ']).filter(|word| !word.is_empty()).collect();
    words.iter().rev().nth(1).or(words.first()).copied().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::reference::{Inputs, evaluate};

    fn key(graph: &mut Graph) -> Result<NodeId, GraphError> {
        graph.input("key", &[4], DType::U32, InputKind::Step)
    }

    /// Captures a function of one [2, 3] tensor.
    fn capture(f: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Result<(Graph, NodeId), GraphError> {
        let (recording, (x, y)) = record(|device| {
            let x = Tensor::<2>::empty([2, 3], device);
            let id = value_id(&x);
            (id, value_id(&f(x)))
        })?;
        let mut graph = Graph::new();
        let node = graph.input("x", &[2, 3], DType::F32, InputKind::Step)?;
        let bound = BTreeMap::from([(x.unwrap(), (node, "net".to_owned()))]);
        let nodes = recording.append(&mut graph, &bound, key)?;
        Ok((graph, nodes[&y.unwrap()]))
    }

    #[test]
    fn matches_flex() {
        use burn::tensor::activation::{gelu, log_softmax, relu, sigmoid, softmax};
        let functions: &[fn(Tensor<2>) -> Tensor<2>] = &[
            |x| softmax(x, 1),
            |x| log_softmax(x, 0),
            |x| gelu(x),
            |x| relu(x.clone()) - sigmoid(x),
            |x| (x.clone() * 2.0 - 0.5) / (x.abs() + 1.0),
            |x| x.clone().matmul(x.transpose()).exp(),
            |x| {
                let weights = Tensor::<3>::from_floats([[[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]]], &x.device());
                let batch = x.unsqueeze::<3>().repeat_dim(0, 2) * 2.0;
                batch.matmul(weights).reshape([4, 2])
            },
            |x| x.clone().sum_dim(1).sqrt_or_zero() + x.mean_dim(0),
            |x| x.clone().slice([0..2, 1..3]) * x.slice([1..2, 0..1]),
            |x| Tensor::cat(vec![x.clone(), x.clone() * 3.0], 0).swap_dims(0, 1),
            |x| x.clone().mask_fill(x.greater_elem(0.2), -1.0),
            |x| x.clone().greater_equal_elem(0.3).float() + x.clone().lower_elem(0.1).bool_not().float(),
            |x| x.clone().powf_scalar(2.0) + x.clone().clamp(-0.3, 0.4) + x.max_dim(1),
            |x| x.clone() + Tensor::from_floats([[0.0, 1.0, 2.0], [3.0, 5.0, 4.0]], &x.device()),
            |x| x.clone() + Tensor::<1>::from_floats([0.0, 1.0, 2.0], &x.device()).unsqueeze(),
        ];
        let values = [-0.7f32, 0.3, 0.9, -0.2, 0.1, 0.45];
        for (k, f) in functions.iter().enumerate() {
            let (graph, y) = capture(f).unwrap();
            let inputs = Inputs::from([("x".to_owned(), values.iter().map(|&v| f64::from(v)).collect())]);
            let ours = &evaluate(&graph, &inputs, &[y])[0];
            let device = Device::flex();
            let x = Tensor::<1>::from_floats(values, &device).reshape([2, 3]);
            let theirs: Vec<f32> = f(x).into_data().try_to_vec().unwrap();
            assert_eq!(ours.len(), theirs.len());
            for (a, b) in ours.iter().zip(&theirs) {
                assert!((a - f64::from(*b)).abs() < 1e-5, "function {k}: {a} against {b}");
            }
        }
    }

    trait SqrtOrZero {
        fn sqrt_or_zero(self) -> Self;
    }
    impl SqrtOrZero for Tensor<2> {
        fn sqrt_or_zero(self) -> Self {
            self.clamp_min(0.0).sqrt()
        }
    }

    #[test]
    fn unknown_operations_are_named_with_their_module() {
        let error = capture(|x| x.cumsum(1)).unwrap_err();
        assert_eq!(error, GraphError::Unsupported { op: "CumSum".into(), module: "net".into() });
    }

    #[test]
    fn stop_gradient_is_recorded() {
        let (mut graph, y) = capture(|x| x.clone() * stop_gradient(x)).unwrap();
        let loss = graph.sum_all(y).unwrap();
        let x = graph.input("x", &[2, 3], DType::F32, InputKind::Step).unwrap();
        let g = grad::grad(&mut graph, loss, &[x]).unwrap();
        let inputs = Inputs::from([("x".to_owned(), vec![1.0, -2.0, 3.0, 0.5, 0.0, 4.0])]);
        assert_eq!(evaluate(&graph, &inputs, &g)[0], [1.0, -2.0, 3.0, 0.5, 0.0, 4.0]);
    }

    #[test]
    fn each_random_operation_has_its_own_stream() {
        let (graph, _) = capture(|x| {
            let draw = |x: &Tensor<2>| Tensor::<2>::random(x.shape(), Distribution::Default, &x.device());
            draw(&x) + draw(&x) * x
        })
        .unwrap();
        let streams: Vec<u32> = graph
            .nodes()
            .iter()
            .filter_map(|node| match node.op {
                Op::Random { stream } => Some(stream),
                _ => None,
            })
            .collect();
        assert_eq!(streams, [0, 1]);
    }
}
