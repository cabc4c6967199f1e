//: from_bits
// No constant expression may be infinite or NaN; the result of a call is none.
fn from_bits(bits: u32) -> f32 {
    return bitcast<f32>(bits);
}
//: is_nan
// By bits: compilers may assume that x == x.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
//: nan_max is_nan
fn nan_max(a: f32, b: f32) -> f32 {
    return select(b, a, a >= b || is_nan(a));
}
//: nan_min is_nan
fn nan_min(a: f32, b: f32) -> f32 {
    return select(b, a, a <= b || is_nan(a));
}
//: sign_of
fn sign_of(x: f32) -> f32 {
    return select(select(x, -1.0, x < 0.0), 1.0, x > 0.0);
}
//: exponential is_nan
// Some drivers clamp the argument and lose NaN.
fn exponential(x: f32) -> f32 {
    return select(exp(x), x, is_nan(x));
}
//: sigmoid exponential
// The exponential's argument is never positive: no overflow.
fn sigmoid(x: f32) -> f32 {
    let e = exponential(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}
//: hyperbolic_tangent exponential
// Built-in tanh may overflow for large arguments and loses digits for small ones.
fn hyperbolic_tangent(x: f32) -> f32 {
    let a = abs(x);
    let s = a * a;
    let series = a * (1.0 + s * (-0.33333333 + s * (0.13333333 + s * (-0.053968254 + s * 0.021869488))));
    let quotient = 1.0 - 2.0 / (exponential(2.0 * a) + 1.0);
    let magnitude = select(select(quotient, 1.0, a > 10.0), series, a < 0.25);
    return select(magnitude, -magnitude, x < 0.0);
}
//: error_function exponential
// Near 0 the Taylor series, beyond 0.5 a Chebyshev fit of erfc (Press et al., Numerical Recipes, section 6.2).
fn error_function(x: f32) -> f32 {
    let a = abs(x);
    let s = a * a;
    let series = 1.1283792 * a * (1.0 + s * (-0.33333333 + s * (0.1 + s * (-0.023809524 + s * (0.0046296296
        + s * (-0.00075757576 + s * 0.00010683761))))));
    let t = 1.0 / (1.0 + 0.5 * a);
    let fit = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806
        + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
    let magnitude = select(select(1.0 - t * exponential(fit - s), 1.0, a > 5.0), series, a < 0.5);
    return select(magnitude, -magnitude, x < 0.0);
}
//: logarithm_parts
// x = m 2^e with m between sqrt(1/2) and sqrt(2): (ln m, e). Precise near 1, where the built-in logarithm is not.
// x must be positive and normal.
fn logarithm_parts(x: f32) -> vec2<f32> {
    let bits = bitcast<u32>(x);
    let above = (bits & 0x007fffffu) > 0x003504f3u;
    let m = bitcast<f32>((bits & 0x007fffffu) | select(0x3f800000u, 0x3f000000u, above));
    let e = i32(bits >> 23u) - 127 + select(0, 1, above);
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let ln = 2.0 * s * (1.0 + q * (0.33333333 + q * (0.2 + q * (0.14285714 + q * 0.11111111))));
    return vec2<f32>(ln, f32(e));
}
//: logarithm from_bits is_nan logarithm_parts
fn logarithm(x: f32) -> f32 {
    if (x > 0.0 && bitcast<u32>(x) < 0x7f800000u) {
        // Subnormal numbers are scaled into the normal range first.
        let small = bitcast<u32>(x) < 0x00800000u;
        let parts = logarithm_parts(select(x, x * 33554432.0, small));
        let e = parts.y - select(0.0, 25.0, small);
        return e * 0.693145752 + (e * 1.42860677e-6 + parts.x);
    }
    if (is_nan(x) || x > 0.0) {
        return x;
    }
    return select(from_bits(0xff800000u), from_bits(0x7fc00000u), x < 0.0);
}
//: power from_bits is_nan logarithm_parts
// a^b for a >= 0.
fn power(a: f32, b: f32) -> f32 {
    if (b == 0.0 || a == 1.0) {
        return 1.0;
    }
    if (is_nan(a) || is_nan(b) || a < 0.0) {
        return from_bits(0x7fc00000u);
    }
    let bits = bitcast<u32>(a);
    if (bits < 0x00800000u || bits >= 0x7f800000u) {
        // Zero (or so small as to count as it) and infinity.
        return select(0.0, from_bits(0x7f800000u), (bits < 0x00800000u) == (b < 0.0));
    }
    let parts = logarithm_parts(a);
    return exp2(b * (parts.y + parts.x * 1.44269504));
}
//: quarter_turns
// (x - k pi / 2, k): Cody and Waite's reduction in three steps.
fn quarter_turns(x: f32) -> vec2<f32> {
    let k = floor(x * 0.636619772 + 0.5);
    return vec2<f32>(((x - k * 1.5703125) - k * 4.83751297e-4) - k * 7.54978995e-8, k);
}
//: sine_of_turned quarter_turns
// sin(r + q pi / 2) for |r| <= pi / 4.
fn sine_of_turned(r: f32, q: i32) -> f32 {
    let s = r * r;
    let sine = r + r * s * (-0.166666546 + s * (0.00833216087 + s * -0.000195152959));
    let cosine = 1.0 - 0.5 * s + s * s * (0.0416666457 + s * (-0.00138873163 + s * 2.44331571e-5));
    let value = select(sine, cosine, (q & 1) == 1);
    return select(value, -value, (q & 2) == 2);
}
//: sine quarter_turns sine_of_turned
fn sine(x: f32) -> f32 {
    let turned = quarter_turns(x);
    return sine_of_turned(turned.x, i32(turned.y));
}
//: cosine quarter_turns sine_of_turned
fn cosine(x: f32) -> f32 {
    let turned = quarter_turns(x);
    return sine_of_turned(turned.x, i32(turned.y) + 1);
}
//: high_product
// Upper 32 bits of a 64-bit product, from 16-bit halves.
fn high_product(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let cross0 = (a & 0xffffu) * (b >> 16u);
    let cross1 = (a >> 16u) * (b & 0xffffu);
    let middle = (low >> 16u) + (cross0 & 0xffffu) + (cross1 & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (cross0 >> 16u) + (cross1 >> 16u) + (middle >> 16u);
}
//: random_unit high_product
// Lane 0 of Philox4x32-10, top 24 bits (see rng.rs).
fn random_unit(key: vec4<u32>, stream: u32, element: u32) -> f32 {
    var c = vec4<u32>(element, stream, key.z, key.w);
    var k = key.xy;
    for (var round = 0u; round < 10u; round++) {
        let high0 = high_product(0xd2511f53u, c.x);
        let high1 = high_product(0xcd9e8d57u, c.z);
        c = vec4<u32>(high1 ^ c.y ^ k.x, 0xcd9e8d57u * c.z, high0 ^ c.w ^ k.y, 0xd2511f53u * c.x);
        k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return f32(c.x >> 8u) * (1.0 / 16777216.0);
}
