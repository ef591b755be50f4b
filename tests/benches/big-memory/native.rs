//! The limit: the same without a sandbox. The only `unsafe` of this bench.

use std::ptr;

use rustix::io::Result;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// The pages that memory is made of.
#[derive(Clone, Copy)]
pub(crate) enum Pages {
    Small,
    Huge,
}

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// Maps so many bytes, writes each of them, and unmaps them.
///
/// # Errors
/// What the system says.
#[expect(unsafe_code, reason = "memory of the process's own, mapped and unmapped here")]
pub(crate) fn touch(bytes: usize, pages: Pages) -> Result<()> {
    // Room to begin where a huge page can.
    let mapped = bytes + HUGE;
    // SAFETY: a mapping at a place of the system's choice, which nobody else knows. It is advised and written within its
    // bounds, and not used once it is unmapped.
    unsafe {
        let mapping = mmap_anonymous(ptr::null_mut(), mapped, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?;
        let memory = mapping.byte_add(mapping.align_offset(HUGE));
        let advice = match pages {
            Pages::Small => Advice::LinuxNoHugepage,
            Pages::Huge => Advice::LinuxHugepage,
        };
        madvise(memory, bytes, advice)?;
        ptr::write_bytes(memory.cast::<u8>(), b'x', bytes);
        // So that the compiler cannot do without what nobody reads.
        std::hint::black_box(memory);
        munmap(mapping, mapped)
    }
}
