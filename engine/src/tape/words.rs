//! Contents that the host gives.

use crate::graph::DType;

/// Contents of an input or a table.
#[derive(Clone, Copy, Debug)]
pub enum Words<'a> {
    /// Numbers.
    Numbers(&'a [f32]),
    /// Classes, characters or row numbers.
    Classes(&'a [u32]),
    /// Bytes of a table.
    Bytes(&'a [u8]),
}

impl<'a> Words<'a> {
    pub(super) fn bytes(self) -> (&'a [u8], DType) {
        match self {
            Words::Numbers(values) => (bytemuck::cast_slice(values), DType::F32),
            Words::Classes(values) => (bytemuck::cast_slice(values), DType::U32),
            Words::Bytes(values) => (values, DType::U8),
        }
    }

    /// Copies to the words of an input of that type and length; whether it fits.
    pub(super) fn fill(self, dtype: DType, slot: &mut [u32]) -> bool {
        match self {
            Words::Numbers(values) if dtype == DType::F32 && values.len() == slot.len() => {
                slot.iter_mut().zip(values).for_each(|(word, value)| *word = value.to_bits());
                true
            }
            Words::Classes(values) if dtype == DType::U32 && values.len() == slot.len() => {
                slot.copy_from_slice(values);
                true
            }
            _ => false,
        }
    }
}

impl<'a, T: AsRef<[f32]> + ?Sized> From<&'a T> for Words<'a> {
    fn from(values: &'a T) -> Self {
        Words::Numbers(values.as_ref())
    }
}
