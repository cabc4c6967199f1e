//! Four f32 side by side: a register in WASM, an array anywhere else, with the same bits.

#[cfg(target_arch = "wasm32")]
use core::arch::wasm32::{
    f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_splat, i32x4_shuffle, v128, v128_load, v128_load32_splat,
    v128_store,
};

/// Four numbers.
#[cfg(target_arch = "wasm32")]
#[derive(Clone, Copy)]
pub(super) struct Four(v128);

/// Four numbers.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Clone, Copy)]
pub(super) struct Four([f32; 4]);

#[cfg(target_arch = "wasm32")]
impl Four {
    pub fn splat(x: f32) -> Self {
        Four(f32x4_splat(x))
    }

    /// # Safety
    /// `from` and the three words after it can be read.
    #[inline(always)]
    pub unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's; WASM loads need no alignment.
        Four(unsafe { v128_load(from.cast()) })
    }

    /// The number at a place, four times.
    ///
    /// # Safety
    /// `from` can be read.
    #[inline(always)]
    pub unsafe fn repeat(from: *const f32) -> Self {
        // SAFETY: the caller's.
        Four(unsafe { v128_load32_splat(from.cast()) })
    }

    /// # Safety
    /// `to` and the three words after it can be written.
    #[inline(always)]
    pub unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { v128_store(to.cast(), self.0) }
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Four(f32x4_add(self.0, other.0))
    }

    /// `self + a b`, the product rounded first.
    #[inline(always)]
    pub fn plus_product(self, a: Self, b: Self) -> Self {
        Four(f32x4_add(self.0, f32x4_mul(a.0, b.0)))
    }

    /// Rows as columns.
    #[inline(always)]
    pub fn transpose([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        let (ab, cd) = (i32x4_shuffle::<0, 4, 1, 5>(a.0, b.0), i32x4_shuffle::<0, 4, 1, 5>(c.0, d.0));
        let (ab_high, cd_high) = (i32x4_shuffle::<2, 6, 3, 7>(a.0, b.0), i32x4_shuffle::<2, 6, 3, 7>(c.0, d.0));
        [
            Four(i32x4_shuffle::<0, 1, 4, 5>(ab, cd)),
            Four(i32x4_shuffle::<2, 3, 6, 7>(ab, cd)),
            Four(i32x4_shuffle::<0, 1, 4, 5>(ab_high, cd_high)),
            Four(i32x4_shuffle::<2, 3, 6, 7>(ab_high, cd_high)),
        ]
    }

    /// The four, from the first on.
    #[inline(always)]
    pub fn numbers(self) -> [f32; 4] {
        [
            f32x4_extract_lane::<0>(self.0),
            f32x4_extract_lane::<1>(self.0),
            f32x4_extract_lane::<2>(self.0),
            f32x4_extract_lane::<3>(self.0),
        ]
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Four {
    pub fn splat(x: f32) -> Self {
        Four([x; 4])
    }

    /// # Safety
    /// `from` and the three words after it can be read.
    #[inline(always)]
    pub unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's.
        Four(unsafe { from.cast::<[f32; 4]>().read() })
    }

    /// The number at a place, four times.
    ///
    /// # Safety
    /// `from` can be read.
    #[inline(always)]
    pub unsafe fn repeat(from: *const f32) -> Self {
        // SAFETY: the caller's.
        Four([unsafe { *from }; 4])
    }

    /// # Safety
    /// `to` and the three words after it can be written.
    #[inline(always)]
    pub unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { to.cast::<[f32; 4]>().write(self.0) }
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Four(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    /// `self + a b`, the product rounded first.
    #[inline(always)]
    pub fn plus_product(self, a: Self, b: Self) -> Self {
        Four(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }

    /// Rows as columns.
    #[inline(always)]
    pub fn transpose(rows: [Self; 4]) -> [Self; 4] {
        std::array::from_fn(|i| Four(std::array::from_fn(|j| rows[j].0[i])))
    }

    /// The four, from the first on.
    #[inline(always)]
    pub fn numbers(self) -> [f32; 4] {
        self.0
    }
}
