//! The wall round a guest's linear memory and tables. wasmtime asks here before anything grows.

use wasmtime::ResourceLimiter;

use crate::check::MAX_TABLE_ELEMENTS;
use crate::huge::HugePages;

/// The wall, what it let through and what it refused.
pub(crate) struct MemoryWall {
    limit: usize,
    /// The most bytes the guest had.
    pub(crate) peak: usize,
    /// The last growth, where it was refused. A guest learns of it as -1 and mostly aborts, which would look like any other
    /// trap; so it is remembered here. One that gets memory after all has survived the refusal.
    pub(crate) refused: Option<Refused>,
    pub(crate) huge: HugePages,
}

/// A growth that was refused, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) asked: usize,
    pub(crate) has: usize,
    pub(crate) limit: usize,
}

impl MemoryWall {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), peak: 0, refused: None, huge: HugePages::default() }
    }
}

impl ResourceLimiter for MemoryWall {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let limit = maximum.map_or(self.limit, |maximum| maximum.min(self.limit));
        if desired > limit {
            self.refused = Some(Refused { asked: desired, has: current, limit });
            return Ok(false);
        }
        self.peak = self.peak.max(desired);
        // To grow by nothing is only to ask how large the memory is.
        if desired > current {
            self.refused = None;
            self.huge.grow(desired);
        }
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired as u64 <= MAX_TABLE_ELEMENTS && maximum.is_none_or(|maximum| desired <= maximum))
    }
}
