use super::super::cases::{self, Function};
use super::super::differences::*;
use super::super::reference::{Inputs, evaluate};
use super::*;

/// Lanes that every rule is tried with.
const LANES: usize = 3;

/// A function of inputs `x0, x1, ..` and directions to differentiate it in.
struct Case {
    graph: Graph,
    inputs: Inputs,
    args: Vec<NodeId>,
    /// One value of each argument's shape a lane.
    directions: Vec<Vec<Vec<f64>>>,
}

impl Case {
    fn new(shapes: &[&[usize]], range: (f64, f64)) -> Self {
        let mut graph = Graph::new();
        let (inputs, args) = arguments(&mut graph, shapes, range);
        let direction = |(k, shape): (usize, &&[usize]), lane: usize| {
            // The tangents are f32, as a program's are.
            let drawn = draw(numel(shape), -1.0, 1.0, (100 + 10 * lane + k) as u64);
            drawn.into_iter().map(|x| f64::from(x as f32)).collect()
        };
        let lane = |lane| shapes.iter().enumerate().map(|at| direction(at, lane)).collect();
        Case { graph, inputs, args, directions: (0..LANES).map(lane).collect() }
    }

    /// Tangent nodes of the arguments: literals of lane 0, or of all lanes.
    fn tangents(&mut self, lanes: bool) -> Vec<NodeId> {
        let single = |direction: &[f64]| direction.iter().map(|&x| x as f32).collect::<Vec<f32>>();
        (0..self.args.len())
            .map(|k| {
                let shape = self.graph.shape(self.args[k]).to_vec();
                if lanes {
                    let all: Vec<f32> = self.directions.iter().flat_map(|lane| single(&lane[k])).collect();
                    self.graph.literal(&all, &[&[LANES], &shape[..]].concat()).unwrap()
                } else {
                    self.graph.literal(&single(&self.directions[0][k]), &shape).unwrap()
                }
            })
            .collect()
    }

    /// The tangent of `of`, alone and in lanes, against differences.
    fn compare(&mut self, of: NodeId, order: &str) {
        let args = self.args.clone();
        for lanes in [false, true] {
            let tangents = self.tangents(lanes);
            let found = jvp(&mut self.graph, &[of], &args, &tangents).unwrap()[0];
            let count = if lanes { LANES } else { 1 };
            assert_eq!(numel(self.graph.shape(found)), count * numel(self.graph.shape(of)));
            let found = evaluate(&self.graph, &self.inputs, &[found]).remove(0);
            for (lane, found) in found.chunks(found.len() / count).enumerate() {
                let named = |(k, along): (usize, &Vec<f64>)| (format!("x{k}"), along.clone());
                let direction = self.directions[lane].iter().enumerate().map(named).collect();
                let slopes = slopes(&self.graph, &self.inputs, of, &direction);
                for (&found, slope) in found.iter().zip(slopes) {
                    assert_slope(found, slope, format_args!("{order} order, lanes {lanes}, lane {lane}"));
                }
            }
        }
    }
}

/// Compares the tangent of `f` and that of its gradient (the Hessian-vector product) with central differences.
fn check(shapes: &[&[usize]], range: (f64, f64), f: Function<'_>) {
    let mut case = Case::new(shapes, range);
    let args = case.args.clone();
    let y = f(&mut case.graph, &args);
    case.compare(y, "first");
    let loss = weighted(&mut case.graph, y, 10);
    for slope in grad(&mut case.graph, loss, &args).unwrap() {
        case.compare(slope, "second");
    }
}

/// `<u, J v> = <J^T u, v>` at the given inputs, kinks and ties included: forward and reverse mode take the same side.
fn check_transposed(inputs: &[(&[usize], &[f64])], f: impl Fn(&mut Graph, &[NodeId]) -> NodeId) {
    let shapes: Vec<&[usize]> = inputs.iter().map(|(shape, _)| *shape).collect();
    let mut case = Case::new(&shapes, (0.0, 1.0));
    for (k, (_, values)) in inputs.iter().enumerate() {
        case.inputs.insert(format!("x{k}"), values.to_vec());
    }
    let args = case.args.clone();
    let y = f(&mut case.graph, &args);
    let tangents = case.tangents(false);
    let forward = jvp(&mut case.graph, &[y], &args, &tangents).unwrap()[0];
    let forward = weighted(&mut case.graph, forward, 7);
    let loss = weighted(&mut case.graph, y, 7);
    let reverse = grad(&mut case.graph, loss, &args).unwrap();
    let mut products = Vec::new();
    for (slope, tangent) in reverse.into_iter().zip(tangents) {
        let product = case.graph.mul(slope, tangent).unwrap();
        products.push(case.graph.sum_all(product).unwrap());
    }
    let reverse = products.into_iter().reduce(|a, b| case.graph.add(a, b).unwrap()).unwrap();
    let both = evaluate(&case.graph, &case.inputs, &[forward, reverse]);
    assert!((both[0][0] - both[1][0]).abs() < 1e-12, "{both:?}");
    assert!(both[0][0] != 0.0, "the test must see something");
}

#[test]
fn every_rule() {
    cases::ALL.iter().for_each(|rules| rules(check));
}

#[test]
fn kinks_and_ties_are_those_of_reverse_mode() {
    for op in [ReduceOp::Max, ReduceOp::Min] {
        check_transposed(&[(&[2, 3], &[1.0, 3.0, 3.0, 0.0, 0.0, 0.0])], |graph, x| {
            graph.reduce(op, x[0], &[1]).unwrap()
        });
    }
    for op in [BinaryOp::Max, BinaryOp::Min] {
        check_transposed(&[(&[3], &[1.0, 2.0, 3.0]), (&[3], &[1.0, 3.0, 3.0])], |graph, x| {
            graph.binary(op, x[0], x[1]).unwrap()
        });
    }
    for op in [UnaryOp::Relu, UnaryOp::Abs] {
        check_transposed(&[(&[3], &[0.0, -1.0, 1.0])], |graph, x| graph.unary(op, x[0]).unwrap());
    }
    check_transposed(&[(&[1, 1, 4, 4], &[1.0; 16])], |graph, x| graph.max_pool2d(x[0], window(3, 1, 1)).unwrap());
    check_transposed(&[(&[2], &[0.0, 2.0]), (&[2], &[2.0, 3.0])], |graph, x| {
        graph.binary(BinaryOp::Pow, x[0], x[1]).unwrap()
    });
}

#[test]
fn zeros_are_not_made() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[2], DType::F32, InputKind::State).unwrap();
    let y = graph.input("y", &[2], DType::F32, InputKind::State).unwrap();
    let frozen = graph.stop_gradient(x);
    let product = graph.mul(frozen, y).unwrap();
    let t = graph.constant(2.0, &[2]);
    let before = graph.nodes().len();
    let moved = jvp(&mut graph, &[frozen, y, product], &[x], &[t]).unwrap();
    assert_eq!(graph.nodes().len(), before + 1, "the zero");
    let inputs = Inputs::from([("x".into(), vec![1.0, 2.0]), ("y".into(), vec![3.0, 4.0])]);
    assert_eq!(evaluate(&graph, &inputs, &moved), [[0.0; 2]; 3]);
    let moved = jvp(&mut graph, &[product, frozen], &[y, x], &[t, t]).unwrap();
    assert_eq!(evaluate(&graph, &inputs, &moved), [[2.0, 4.0], [0.0, 0.0]]);
}

#[test]
fn misfits_are_refused() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[2, 2], DType::F32, InputKind::State).unwrap();
    let y = graph.input("y", &[2], DType::F32, InputKind::State).unwrap();
    let long = graph.constant(0.0, &[3]);
    let lanes = graph.constant(0.0, &[3, 2]);
    assert!(jvp(&mut graph, &[x], &[y], &[long]).is_err());
    assert!(jvp(&mut graph, &[x], &[y], &[]).is_err());
    assert!(jvp(&mut graph, &[x], &[x, y], &[x, lanes]).is_err());
    assert!(hvp(&mut graph, x, &[x], &[x]).is_err());
}

#[test]
fn a_reshaped_value_is_the_value() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[4], DType::F32, InputKind::State).unwrap();
    let view = graph.reshape(x, &[2, 2]).unwrap();
    let row = graph.reshape(view, &[1, 4]).unwrap();
    let square = graph.mul(row, row).unwrap();
    let t = graph.constant(0.5, &[2, 2]);
    let moved = jvp(&mut graph, &[square], &[view], &[t]).unwrap();
    let inputs = Inputs::from([("x".into(), vec![1.0, 2.0, 3.0, 4.0])]);
    assert_eq!(evaluate(&graph, &inputs, &moved)[0], [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn custom_backward_passes_are_transposed() {
    // A straight-through clip whose backward pass also scales by its second argument, and uses a zero constant.
    let mut backward = Graph::new();
    let g = backward.input("g", &[3], DType::F32, InputKind::Step).unwrap();
    let x = backward.input("x", &[3], DType::F32, InputKind::Step).unwrap();
    let s = backward.input("s", &[3], DType::F32, InputKind::Step).unwrap();
    let one = backward.constant(1.0, &[3]);
    let zero = backward.constant(0.0, &[3]);
    let size = backward.unary(UnaryOp::Abs, x).unwrap();
    let inside = backward.binary(BinaryOp::LessEqual, size, one).unwrap();
    let passed = backward.select(inside, g, zero).unwrap();
    let scaled = backward.mul(passed, s).unwrap();
    let other = backward.mul(g, x).unwrap();
    let backward = CustomBackward { name: "clip".into(), graph: backward.into(), outputs: vec![scaled, other] };
    let f = |graph: &mut Graph, x: &[NodeId]| {
        let sign = graph.unary(UnaryOp::Sign, x[0]).unwrap();
        graph.custom_vjp(sign, &[x[0], x[1]], backward.clone()).unwrap()
    };
    check_transposed(&[(&[3], &[-2.0, 0.5, -0.25]), (&[3], &[3.0, 4.0, 5.0])], f);

    let mut case = Case::new(&[&[3], &[3]], (-1.5, 1.5));
    let args = case.args.clone();
    let y = f(&mut case.graph, &args);
    let single = case.tangents(false);
    let single = jvp(&mut case.graph, &[y], &args, &single).unwrap()[0];
    let lanes = case.tangents(true);
    let lanes = jvp(&mut case.graph, &[y], &args, &lanes).unwrap()[0];
    let values = evaluate(&case.graph, &case.inputs, &[single, lanes]);
    assert_eq!(values[0], values[1][..3]);
    assert_ne!(values[1][..3], values[1][3..6]);
}

/// Softmax cross-entropy of logits `[b, c]` with labels `0, 1, ..`, per example `[b]`.
fn cross_entropy(graph: &mut Graph, logits: NodeId) -> NodeId {
    let &[b, c] = graph.shape(logits) else { panic!("needs rank 2") };
    let log_p = graph.log_softmax(logits, 1).unwrap();
    let labels: Vec<f32> = (0..b * c).map(|k| f32::from(k % c == (k / c) % c)).collect();
    let hit = graph.literal(&labels, &[b, c]).unwrap();
    let picked = graph.mul(hit, log_p).unwrap();
    let picked = graph.sum(picked, &[1]).unwrap();
    let picked = graph.neg(picked).unwrap();
    graph.reshape(picked, &[b]).unwrap()
}

fn mean_loss(graph: &mut Graph, logits: NodeId) -> NodeId {
    let losses = cross_entropy(graph, logits);
    let mean = graph.mean(losses, &[0]).unwrap();
    graph.reshape(mean, &[]).unwrap()
}

/// `(x - mean) / sqrt(variance + 1e-5)` over `axes`.
fn normalise(graph: &mut Graph, x: NodeId, axes: &[usize]) -> NodeId {
    let mean = graph.mean(x, axes).unwrap();
    let centred = graph.sub(x, mean).unwrap();
    let square = graph.mul(centred, centred).unwrap();
    let variance = graph.mean(square, axes).unwrap();
    let variance = graph.add_scalar(variance, 1e-5).unwrap();
    let inverse = graph.unary(UnaryOp::Rsqrt, variance).unwrap();
    graph.mul(centred, inverse).unwrap()
}

fn gelu(graph: &mut Graph, x: NodeId) -> NodeId {
    let inner = graph.scale(x, std::f32::consts::FRAC_1_SQRT_2).unwrap();
    let erf = graph.unary(UnaryOp::Erf, inner).unwrap();
    let gate = graph.add_scalar(erf, 1.0).unwrap();
    let half = graph.scale(gate, 0.5).unwrap();
    graph.mul(x, half).unwrap()
}

/// A network of one flat parameter vector: the vector's length, and logits from it.
type Network = (usize, fn(&mut Graph, NodeId) -> NodeId);

/// Cuts parameters off the flat vector.
struct Cutter(NodeId, usize);

impl Cutter {
    fn cut(&mut self, graph: &mut Graph, shape: &[usize]) -> NodeId {
        let size = numel(shape);
        let flat = graph.slice(self.0, &[self.1], &[size]).unwrap();
        self.1 += size;
        graph.reshape(flat, shape).unwrap()
    }
}

/// 5 - 4 - 3 with GELU and layer norm, six examples.
const MLP: Network = (20 + 4 + 12, |graph, theta| {
    let mut cutter = Cutter(theta, 0);
    let x = literal(graph, &[6, 5], 1);
    let w = cutter.cut(graph, &[5, 4]);
    let b = cutter.cut(graph, &[4]);
    let h = graph.matmul(x, w).unwrap();
    let h = graph.add(h, b).unwrap();
    let h = normalise(graph, h, &[1]);
    let h = gelu(graph, h);
    let w = cutter.cut(graph, &[4, 3]);
    graph.matmul(h, w).unwrap()
});

/// Convolution, batch statistics, tanh, max-pool, convolution, mean pooling; four images.
const CONVNET: Network = (3 * 9 + 3 + 3 * 3 * 4, |graph, theta| {
    let mut cutter = Cutter(theta, 0);
    let x = literal(graph, &[4, 1, 6, 6], 2);
    let k = cutter.cut(graph, &[3, 1, 3, 3]);
    let h = graph.conv2d(x, k, window(3, 1, 1)).unwrap();
    let h = normalise(graph, h, &[0, 2, 3]);
    let scale = cutter.cut(graph, &[1, 3, 1, 1]);
    let h = graph.mul(h, scale).unwrap();
    let h = graph.unary(UnaryOp::Tanh, h).unwrap();
    let h = graph.max_pool2d(h, window(3, 2, 1)).unwrap();
    let k = cutter.cut(graph, &[3, 3, 2, 2]);
    let h = graph.conv2d(h, k, window(2, 1, 0)).unwrap();
    let h = graph.mean(h, &[2, 3]).unwrap();
    graph.reshape(h, &[4, 3]).unwrap()
});

/// Embedding, two-head causal self-attention, logits over the vocabulary; two texts of four characters.
const ATTENTION: Network = (3 * 4 + 4 * 12 + 4 * 3, |graph, theta| {
    let mut cutter = Cutter(theta, 0);
    let tokens = index(graph, &[0.0, 1.0, 2.0, 1.0, 2.0, 2.0, 0.0, 1.0], &[2, 4]);
    let table = cutter.cut(graph, &[3, 4]);
    let x = graph.take_rows(table, tokens).unwrap();
    let flat = graph.reshape(x, &[8, 4]).unwrap();
    let w = cutter.cut(graph, &[4, 12]);
    let qkv = graph.matmul(flat, w).unwrap();
    let heads = |part: usize, graph: &mut Graph| {
        let x = graph.slice(qkv, &[0, 4 * part], &[8, 4]).unwrap();
        let x = graph.reshape(x, &[2, 4, 2, 2]).unwrap();
        graph.permute(x, &[0, 2, 1, 3]).unwrap()
    };
    let (q, k, v) = (heads(0, graph), heads(1, graph), heads(2, graph));
    let k = graph.transpose(k).unwrap();
    let scores = graph.matmul(q, k).unwrap();
    let (row, column) = (graph.iota(&[4, 4], 0).unwrap(), graph.iota(&[4, 4], 1).unwrap());
    let past = graph.binary(BinaryOp::LessEqual, column, row).unwrap();
    let low = graph.constant(-1e4, &[1]);
    let scores = graph.select(past, scores, low).unwrap();
    let attention = graph.softmax(scores, 3).unwrap();
    let mixed = graph.matmul(attention, v).unwrap();
    let mixed = graph.permute(mixed, &[0, 2, 1, 3]).unwrap();
    let mixed = graph.reshape(mixed, &[8, 4]).unwrap();
    let h = graph.add(flat, mixed).unwrap();
    let w = cutter.cut(graph, &[4, 3]);
    graph.matmul(h, w).unwrap()
});

/// Dense matrix from its products with the unit vectors, all lanes at once; symmetric within rounding.
fn dense(graph: &Graph, inputs: &Inputs, products: NodeId, p: usize) -> Vec<Vec<f64>> {
    let values = evaluate(graph, inputs, &[products]).remove(0);
    let rows: Vec<Vec<f64>> = values.chunks(p).map(<[f64]>::to_vec).collect();
    let largest = values.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    for (i, row) in rows.iter().enumerate() {
        for (x, column) in row.iter().zip(&rows[..i]) {
            assert!((x - column[i]).abs() < 1e-12 * largest, "{x} against {}", column[i]);
        }
    }
    rows
}

fn start(p: usize) -> (Graph, Inputs, NodeId, NodeId) {
    let mut graph = Graph::new();
    let theta = graph.input("theta", &[p], DType::F32, InputKind::State).unwrap();
    let unit: Vec<f32> = (0..p * p).map(|k| f32::from(k / p == k % p)).collect();
    let units = graph.literal(&unit, &[p, p]).unwrap();
    (graph, Inputs::from([("theta".into(), draw(p, -0.9, 0.9, 3))]), theta, units)
}

#[test]
fn hessians_are_symmetric_and_match_differences_of_gradients() {
    for (p, network) in [MLP, CONVNET, ATTENTION] {
        let (mut graph, inputs, theta, units) = start(p);
        let logits = network(&mut graph, theta);
        let loss = mean_loss(&mut graph, logits);
        let slope = grad(&mut graph, loss, &[theta]).unwrap()[0];
        let products = hvp(&mut graph, loss, &[theta], &[units]).unwrap()[0];
        let hessian = dense(&graph, &inputs, products, p);
        let largest = hessian.iter().flatten().fold(0.0f64, |most, x| most.max(x.abs()));
        for (i, row) in hessian.iter().enumerate() {
            let at = |delta: f64| {
                let mut moved = inputs.clone();
                moved.get_mut("theta").unwrap()[i] += delta;
                evaluate(&graph, &moved, &[slope]).remove(0)
            };
            let (up, down) = (at(1e-5), at(-1e-5));
            for j in 0..p {
                let difference = (up[j] - down[j]) / 2e-5;
                assert!((difference - row[j]).abs() < 1e-7 * (1.0 + largest), "{} against {difference}", row[j]);
            }
        }
    }
}

#[test]
fn gauss_newton_is_positive_and_equals_the_hessian_where_the_network_is_linear() {
    // Softmax regression: closed form sum_i w_i x_i x_i^T (diag p_i - p_i p_i^T).
    let (b, d, c) = (6, 4, 3);
    let p = d * c;
    let (mut graph, inputs, theta, units) = start(p);
    let x = literal(&mut graph, &[b, d], 1);
    let w = graph.reshape(theta, &[d, c]).unwrap();
    let logits = graph.matmul(x, w).unwrap();
    let probability = graph.softmax(logits, 1).unwrap();
    let loss = mean_loss(&mut graph, logits);
    let gauss = ggn(&mut graph, loss, logits, &[theta], &[units]).unwrap()[0];
    let hessian = hvp(&mut graph, loss, &[theta], &[units]).unwrap()[0];
    let gauss = dense(&graph, &inputs, gauss, p);
    let hessian = dense(&graph, &inputs, hessian, p);
    let values = evaluate(&graph, &inputs, &[x, probability]);
    for i in 0..p {
        for j in 0..p {
            let expected: f64 = (0..b)
                .map(|n| {
                    let (pi, pj) = (values[1][n * c + i % c], values[1][n * c + j % c]);
                    let bend = if i % c == j % c { pi - pi * pj } else { -pi * pj };
                    values[0][n * d + i / c] * values[0][n * d + j / c] * bend / b as f64
                })
                .sum();
            assert!((gauss[i][j] - expected).abs() < 1e-7, "{} against {expected}", gauss[i][j]);
            assert!((hessian[i][j] - expected).abs() < 1e-7, "{} against {expected}", hessian[i][j]);
        }
    }

    for (p, network) in [MLP, CONVNET, ATTENTION] {
        let (mut graph, inputs, theta, units) = start(p);
        let logits = network(&mut graph, theta);
        let loss = mean_loss(&mut graph, logits);
        let lanes = ggn(&mut graph, loss, logits, &[theta], &[units]).unwrap()[0];
        let matrix = dense(&graph, &inputs, lanes, p);
        // One lane, and v^T G v >= 0.
        let v: Vec<f32> = draw(p, -1.0, 1.0, 9).iter().map(|&x| x as f32).collect();
        let vector = graph.literal(&v, &[p]).unwrap();
        let single = ggn(&mut graph, loss, logits, &[theta], &[vector]).unwrap()[0];
        let single = evaluate(&graph, &inputs, &[single]).remove(0);
        let mut square = 0.0;
        for (i, &product) in single.iter().enumerate() {
            let expected: f64 = matrix[i].iter().zip(&v).map(|(g, &v)| g * f64::from(v)).sum();
            assert!((product - expected).abs() < 1e-9 * (1.0 + expected.abs()));
            square += product * f64::from(v[i]);
        }
        assert!(square > 0.0);
    }
}

#[test]
fn gauss_newton_of_a_linear_loss_is_zero() {
    let (p, network) = MLP;
    let (mut graph, inputs, theta, units) = start(p);
    let logits = network(&mut graph, theta);
    let loss = graph.sum_all(logits).unwrap();
    let products = ggn(&mut graph, loss, logits, &[theta], &[units]).unwrap()[0];
    assert!(evaluate(&graph, &inputs, &[products])[0].iter().all(|&x| x == 0.0));
}

#[test]
fn empirical_fisher_is_the_sum_of_squared_gradients() {
    let (p, network) = MLP;
    let (mut graph, inputs, theta, units) = start(p);
    let logits = network(&mut graph, theta);
    let losses = cross_entropy(&mut graph, logits);
    let b = numel(graph.shape(losses));
    let weight = literal(&mut graph, &[b], 5);
    let products = fisher(&mut graph, losses, weight, &[theta], &[units]).unwrap()[0];
    let found = dense(&graph, &inputs, products, p);
    let mut slopes = Vec::new();
    for i in 0..b {
        let one = graph.slice(losses, &[i], &[1]).unwrap();
        slopes.push(grad(&mut graph, one, &[theta]).unwrap()[0]);
    }
    let slopes = evaluate(&graph, &inputs, &slopes);
    let weight = evaluate(&graph, &inputs, &[weight]).remove(0);
    for i in 0..p {
        for j in 0..p {
            let expected: f64 = (0..b).map(|n| weight[n] * slopes[n][i] * slopes[n][j]).sum();
            assert!((found[i][j] - expected).abs() < 1e-12, "{} against {expected}", found[i][j]);
        }
    }
}
