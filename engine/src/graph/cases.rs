//! Functions that between them try every rule of differentiation, for the tests of both modes.

use super::differences::{index, window};
use super::*;

/// A function of inputs `x0, x1, ..`.
pub type Function<'f> = &'f dyn Fn(&mut Graph, &[NodeId]) -> NodeId;

/// Compares the derivatives of a function with differences, at inputs of the given shapes with values from a range.
pub type Check = fn(shapes: &[&[usize]], range: (f64, f64), f: Function<'_>);

/// One argument, two, and a choice.
pub fn elementwise(check: Check) {
    use BinaryOp::*;
    use UnaryOp::*;
    for op in [Neg, Abs, Sign, Exp, Tanh, Erf, Sin, Cos, Floor, Relu, Sigmoid] {
        check(&[&[7]], (-1.9, 2.1), &|graph, x| graph.unary(op, x[0]).unwrap());
    }
    for op in [Log, Sqrt, Rsqrt, Recip] {
        check(&[&[7]], (0.3, 2.0), &|graph, x| graph.unary(op, x[0]).unwrap());
    }
    for op in [Add, Sub, Mul, Div, Max, Min, Pow, Less, LessEqual, Equal] {
        check(&[&[2, 3], &[3]], (0.4, 2.0), &|graph, x| graph.binary(op, x[0], x[1]).unwrap());
        check(&[&[]], (0.4, 2.0), &|graph, x| {
            let square = graph.mul(x[0], x[0]).unwrap();
            let other = graph.constant(0.7, &[2, 2]);
            graph.binary(op, square, other).unwrap()
        });
    }
    check(&[&[5], &[5], &[5]], (-1.0, 1.2), &|graph, x| {
        let zero = graph.constant(0.0, &[5]);
        let mask = graph.binary(Less, zero, x[0]).unwrap();
        let square = graph.mul(x[1], x[1]).unwrap();
        let chosen = graph.select(mask, square, x[2]).unwrap();
        graph.select(mask, zero, chosen).unwrap()
    });
}

/// Sums and extremes.
pub fn reductions(check: Check) {
    for op in [ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min] {
        check(&[&[3, 4, 2]], (-1.0, 1.0), &|graph, x| {
            let square = graph.mul(x[0], x[0]).unwrap();
            graph.reduce(op, square, &[0, 2]).unwrap()
        });
    }
}

/// Products of matrices; what only moves values.
pub fn products_and_layout(check: Check) {
    check(&[&[3, 4], &[4, 2]], (-1.0, 1.0), &|graph, x| {
        let square = graph.mul(x[0], x[0]).unwrap();
        graph.matmul(square, x[1]).unwrap()
    });
    check(&[&[2, 3, 4], &[2, 4, 2]], (-1.0, 1.0), &|graph, x| {
        let square = graph.mul(x[0], x[0]).unwrap();
        graph.matmul(square, x[1]).unwrap()
    });
    check(&[&[2, 3, 4], &[2, 1, 4]], (-1.0, 1.0), &|graph, x| {
        let fixed = graph.constant(1.5, &[2, 2, 4]);
        let all = graph.concat(&[x[0], x[1], fixed, x[0]], 1).unwrap();
        let turned = graph.permute(all, &[2, 0, 1]).unwrap();
        let part = graph.slice_step(turned, &[1, 0, 0], &[2, 2, 4], &[2, 1, 2]).unwrap();
        let part = graph.mul(part, part).unwrap();
        let padded = graph.unslice(part, &[1, 0, 1], &[2, 1, 1], &[4, 2, 5]).unwrap();
        let flat = graph.reshape(padded, &[1, 40]).unwrap();
        graph.broadcast_to(flat, &[3, 40]).unwrap()
    });
}

/// Convolutions close over each other: each of the three is a derivative of the others.
pub fn convolutions(check: Check) {
    for (geometry, channels) in [
        (window(3, 1, 1), [2, 3]),
        (window(2, 2, 0), [1, 2]),
        (ConvGeometry { dilation: [2, 1], groups: 2, ..window(2, 1, 1) }, [4, 6]),
    ] {
        let kernel = [channels[1], channels[0] / geometry.groups, geometry.kernel[0], geometry.kernel[1]];
        check(&[&[2, channels[0], 4, 3], &kernel], (-1.0, 1.0), &|graph, x| {
            graph.conv2d(x[0], x[1], geometry).unwrap()
        });
        let [oh, ow] = geometry.output([4, 3]).unwrap();
        check(&[&[2, channels[1], oh, ow], &kernel], (-1.0, 1.0), &|graph, x| {
            graph.conv2d_input_grad(x[0], x[1], geometry, [4, 3]).unwrap()
        });
        check(&[&[2, channels[0], 4, 3], &[2, channels[1], oh, ow]], (-1.0, 1.0), &|graph, x| {
            graph.conv2d_kernel_grad(x[0], x[1], geometry).unwrap()
        });
    }
}

/// Maxima of windows and what undoes them.
pub fn pooling(check: Check) {
    for geometry in [window(3, 2, 1), window(2, 2, 0)] {
        check(&[&[2, 2, 5, 4]], (-1.0, 1.0), &|graph, x| {
            let pooled = graph.max_pool2d(x[0], geometry).unwrap();
            graph.mul(pooled, pooled).unwrap()
        });
    }
    check(&[&[1, 2, 2, 2]], (-1.0, 1.0), &|graph, x| {
        let at = index(graph, &[0.0, 2.0, 2.0, 9.0, 5.0, 5.0, 10.0, 15.0], &[1, 2, 2, 2]);
        let square = graph.mul(x[0], x[0]).unwrap();
        graph.max_pool2d_scatter(at, square, window(2, 2, 0), [4, 4]).unwrap()
    });
}

/// Reading and adding at places that are data.
pub fn indexing(check: Check) {
    check(&[&[3, 4]], (-1.0, 1.0), &|graph, x| {
        let at = index(graph, &[0.0, 3.0, 3.0, 1.0, 1.0, 2.0], &[3, 2]);
        let square = graph.mul(x[0], x[0]).unwrap();
        graph.gather(square, at, 1).unwrap()
    });
    check(&[&[3, 2]], (-1.0, 1.0), &|graph, x| {
        let at = index(graph, &[0.0, 3.0, 3.0, 1.0, 1.0, 1.0], &[3, 2]);
        let square = graph.mul(x[0], x[0]).unwrap();
        graph.scatter_add(at, square, 1, 4).unwrap()
    });
    check(&[&[4, 3, 2]], (-1.0, 1.0), &|graph, x| {
        let at = index(graph, &[1.0, 0.0, 1.0, 3.0, 3.0, 2.0], &[2, 3]);
        let square = graph.mul(x[0], x[0]).unwrap();
        graph.take_rows(square, at).unwrap()
    });
    check(&[&[2, 3, 3, 2]], (-1.0, 1.0), &|graph, x| {
        let at = index(graph, &[1.0, 0.0, 1.0, 3.0, 3.0, 2.0], &[2, 3]);
        let square = graph.mul(x[0], x[0]).unwrap();
        graph.add_rows(at, square, 4).unwrap()
    });
}

/// Softmax, its logarithm, and one whose exponential is used beside it.
pub fn softmax(check: Check) {
    for axis in [0, 1] {
        check(&[&[3, 5]], (-2.0, 2.0), &|graph, x| graph.softmax(x[0], axis).unwrap());
        check(&[&[3, 5]], (-2.0, 2.0), &|graph, x| graph.log_softmax(x[0], axis).unwrap());
    }
    // The exponential has a user beside the softmax.
    check(&[&[5]], (-2.0, 2.0), &|graph, x| {
        let exp = graph.unary(UnaryOp::Exp, x[0]).unwrap();
        let total = graph.sum(exp, &[0]).unwrap();
        let inverse = graph.unary(UnaryOp::Recip, total).unwrap();
        let softmax = graph.mul(exp, inverse).unwrap();
        graph.mul(softmax, exp).unwrap()
    });
}

/// All of them.
pub const ALL: [fn(Check); 7] =
    [elementwise, reductions, products_and_layout, convolutions, pooling, indexing, softmax];
