//! How something is shared out.

use std::ops::Range;

/// Something that is shared out in units of the same length, the last of which has also what is left over.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub length: usize,
    pub unit: usize,
}

impl Cut {
    /// Units.
    pub fn count(self) -> usize {
        (self.length / self.unit).max(1)
    }

    /// What units consist of.
    pub fn range(self, units: Range<usize>) -> Range<usize> {
        let end = if units.end == self.count() { self.length } else { units.end * self.unit };
        units.start * self.unit..end
    }
}
