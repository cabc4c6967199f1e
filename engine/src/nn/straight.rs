//! Steps in the forward pass that the backward pass walks through.

use burn::tensor::{Distribution, Tensor};

use crate::graph::capture::{custom_vjp, slope};

/// The value of `value` with the derivative of `x` (Bengio, Leonard and Courville 2013). Exact in the value, unlike
/// `x + detach(value - x)`.
pub fn through<const D: usize>(value: Tensor<D>, x: &Tensor<D>) -> Tensor<D> {
    custom_vjp("straight-through", value, |cotangent| vec![slope(x, cotangent)])
}

/// The nearest whole number, of two the even one; its derivative is 1.
pub fn round<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    through(x.clone().round(), &x)
}

/// -1 or 1 (1 at 0); its derivative is 1 where `|x| <= 1`, else 0.
pub fn sign<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let value = x.clone().greater_equal_scalar(0.0).float() * 2.0 - 1.0;
    let near = x.clone().abs().lower_equal_scalar(1.0).float();
    custom_vjp("straight-through sign", value, |cotangent| vec![slope(&x, cotangent * near)])
}

/// One of the two whole numbers next to x, such that the mean of many draws is x; its derivative is 1.
pub fn stochastic_round<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let uniform = Tensor::<D>::random(x.shape(), Distribution::Default, &x.device());
    through((x.clone() + uniform).floor(), &x)
}
