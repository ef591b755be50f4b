//! What only the embedded broker promises: it survives `kill -9`, shares its file with other processes, and says in a
//! sentence what is wrong with a file or a disk.

mod files;
mod fleet;
mod processes;
