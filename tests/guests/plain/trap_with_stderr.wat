;; trapped says="as an abort or a panic does: thread 'main' panicked"
;; What a plain Rust command does that panics.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\17\00\00\00")
  (data (i32.const 64) "thread 'main' panicked\n")
  (func (export "_start")
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 20)))
    unreachable))
