//! Huge pages for guests that grow large. To touch fresh memory costs a fault for each page, and that is most of what a
//! large guest costs: with pages of 2 MiB in the place of 4 KiB it is a third to a fifth.
//!
//! They are asked for in the grown part alone, so that a small guest takes no more memory than it touches. The system
//! takes a huge page only where all of it is the guest's to use, so none reaches past what a guest has grown to; and
//! however much of it was touched, it counts to the memory that the limit allows. When the attempt ends they go back with
//! everything else above the part that is kept.

use std::ptr;

use rustix::mm::{Advice, madvise};

/// Bytes of a huge page. Where a system has others this is only a step by which is asked.
const HUGE: usize = 2 << 20;

/// What a guest has before any is asked for: who needs no more than this is small. The part of it that is kept and wiped in
/// place stays well below.
const SMALL: usize = 2 << 20;

/// The huge pages of one linear memory.
#[derive(Default)]
pub(crate) struct HugePages {
    /// Where the memory begins, once there is one.
    base: usize,
    /// Up to where they were asked for.
    asked: usize,
}

impl HugePages {
    /// The memory begins there and has `bytes`, of which some may have been touched.
    pub(crate) fn begin(&mut self, base: *const u8, bytes: usize) {
        self.base = base.expose_provenance();
        self.asked = self.base + SMALL;
        self.grow(bytes);
    }

    /// The memory is about to have `bytes`.
    #[expect(unsafe_code, reason = "advice on memory that wasmtime has reserved")]
    pub(crate) fn grow(&mut self, bytes: usize) {
        // Whole ones only: part of one would be the system's work for nothing.
        let (from, to) = (self.asked.next_multiple_of(HUGE), (self.base + bytes) / HUGE * HUGE);
        if self.base == 0 || to <= from {
            return;
        }
        self.asked = to;
        // SAFETY: this advice changes neither what is in memory nor who may use it, so it is sound for any range; and this
        // one lies within the reservation of one linear memory, which stands until its store is dropped, and the growth
        // that comes next stays within it. Where a system refuses or does not know it, pages are small.
        let _ = unsafe { madvise(ptr::with_exposed_provenance_mut(from), to - from, Advice::LinuxHugepage) };
    }
}
