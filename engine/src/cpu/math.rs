//! Elementary functions in f32 that the compiler can vectorise: no branches, no tables, no calls.
//!
//! Only IEEE additions, multiplications, divisions and bit operations occur, in a fixed order, so results have the
//! same bits on every platform. Relative errors stay below 1e-6 (tested against f64). What is rare or not worth a
//! polynomial (sine, cosine, powers) comes from `libm`, which is as reproducible.
//!
//! Coefficients: exp and log as in Cephes (Moshier); tanh and erf are the rational approximations of Eigen.

/// Adding and subtracting it rounds a float of magnitude below 2^22 to the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// Logarithm of the smallest normal number, rounded up.
const SMALLEST: f32 = -87.336;

/// `e^x`; infinite above 89, and 0 where the result would be below the smallest normal number: masked attention
/// scores end there, and arithmetic on subnormal numbers is a hundred times slower.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Comparisons, not min and max: a NaN stays NaN.
    let c = if x > 89.0 { 89.0 } else { x };
    let c = if c < SMALLEST { SMALLEST } else { c };
    let shifted = c * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts: the first product is exact.
    let r = c - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_2e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * (r * r) + r + 1.0;
    // 2^n in two factors, so that results near overflow come out right.
    let exponent = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = exponent >> 1;
    let power = |e: i32| f32::from_bits((e.wrapping_add(127) as u32) << 23);
    let y = p * power(half) * power(exponent.wrapping_sub(half));
    if x < SMALLEST { 0.0 } else { y }
}

/// Natural logarithm; -infinity at 0, NaN below.
#[inline(always)]
pub fn log(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let bits = scaled.to_bits() as i32;
    // Mantissa in [sqrt(1/2), sqrt(2)).
    let offset = bits.wrapping_sub(0x3f35_04f3);
    let e = (offset >> 23) as f32 - if tiny { 23.0 } else { 0.0 };
    let m = f32::from_bits((offset & 0x007f_ffff).wrapping_add(0x3f35_04f3) as u32) - 1.0;
    let z = m * m;
    let p = 7.037_683_6e-2;
    let p = p * m - 1.151_461e-1;
    let p = p * m + 1.167_699_9e-1;
    let p = p * m - 1.242_014_1e-1;
    let p = p * m + 1.424_932_3e-1;
    let p = p * m - 1.666_805_8e-1;
    let p = p * m + 2.000_071_5e-1;
    let p = p * m - 2.499_999_4e-1;
    let p = p * m + 3.333_333e-1;
    let y = p * m * z;
    let y = y - e * 2.121_944_4e-4 - 0.5 * z;
    let y = m + y + e * 0.693_359_4;
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    let y = if x < 0.0 { f32::NAN } else { y };
    // Infinity and NaN are their own logarithm.
    if x.to_bits() & 0x7f80_0000 == 0x7f80_0000 && x > 0.0 || x.is_nan() { x } else { y }
}

/// Hyperbolic tangent.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let c = if x > 7.905_311 { 7.905_311 } else { x };
    let c = if c < -7.905_311 { -7.905_311 } else { c };
    let z = c * c;
    let p = -2.760_768_5e-16;
    let p = p * z + 2.000_188e-13;
    let p = p * z - 8.604_672e-11;
    let p = p * z + 5.122_297e-8;
    let p = p * z + 1.485_722_4e-5;
    let p = p * z + 6.372_619_4e-4;
    let p = (p * z + 4.893_524_6e-3) * c;
    let q = 1.198_258_4e-6;
    let q = q * z + 1.185_347_1e-4;
    let q = q * z + 2.268_434_6e-3;
    let q = q * z + 4.893_525e-3;
    p / q
}

/// Gauss error function.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let c = if x > 4.0 { 4.0 } else { x };
    let c = if c < -4.0 { -4.0 } else { c };
    let z = c * c;
    let p = -2.726_142_3e-10;
    let p = p * z + 2.770_681_4e-8;
    let p = p * z - 2.101_024e-6;
    let p = p * z - 5.692_506_5e-5;
    let p = p * z - 7.349_906_4e-4;
    let p = p * z - 2.954_6e-3;
    let p = (p * z - 1.609_603_3e-2) * c;
    let q = -1.456_607_2e-5;
    let q = q * z - 2.133_740_6e-4;
    let q = q * z - 1.682_827e-3;
    let q = q * z - 7.373_329e-3;
    let q = q * z - 1.426_473_9e-2;
    p / q
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64, low: f32, high: f32) -> f64 {
        (0..200_001)
            .map(|k| low + (high - low) * (k as f32 / 200_000.0))
            .map(|x| {
                let want = exact(f64::from(x));
                ((f64::from(f(x)) - want) / want.abs().max(1e-30)).abs()
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn close_to_f64() {
        assert!(worst(exp, f64::exp, -87.0, 88.7) < 3e-7);
        assert!(worst(log, f64::ln, 1e-6, 0.9) < 3e-7);
        assert!(worst(log, f64::ln, 1.1, 1e6) < 3e-7);
        assert!(worst(tanh, f64::tanh, -9.0, 9.0) < 1e-6);
        assert!(worst(erf, libm::erf, -5.0, 5.0) < 1e-6);
        assert!(worst(sigmoid, |x| 1.0 / (1.0 + (-x).exp()), -80.0, 30.0) < 1e-6);
    }

    #[test]
    fn special_values() {
        assert_eq!((exp(0.0), exp(-1e9), exp(-87.4), exp(1e9)), (1.0, 0.0, 0.0, f32::INFINITY));
        assert!(exp(-87.33).is_normal());
        assert_eq!((exp(f32::NEG_INFINITY), exp(f32::INFINITY)), (0.0, f32::INFINITY));
        assert_eq!((log(1.0), log(0.0), log(f32::INFINITY)), (0.0, f32::NEG_INFINITY, f32::INFINITY));
        assert!((f64::from(log(1e-42)) - f64::from(1e-42f32).ln()).abs() < 1e-4);
        assert!(exp(f32::NAN).is_nan() && log(f32::NAN).is_nan() && log(-1.0).is_nan() && tanh(f32::NAN).is_nan());
        assert!(log(f32::NEG_INFINITY).is_nan() && erf(f32::NAN).is_nan());
        assert_eq!((tanh(0.0), erf(0.0)), (0.0, 0.0));
        assert!((tanh(50.0) - 1.0).abs() < 1e-6 && (erf(-50.0) + 1.0).abs() < 1e-6);
    }
}
