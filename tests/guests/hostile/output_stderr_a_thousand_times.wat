;; timed_out timeout_ms=100
;; The same on stderr, which is all kept, as a log: one call may not outlast the deadline.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 256)
  (func (export "_start") (local $at i32)
    (loop
      (i32.store (i32.add (local.get $at) (i32.const 4)) (i32.const 16777216))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if 0 (i32.lt_u (local.get $at) (i32.const 8192))))
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1024) (i32.const 9000)))
    (loop (br 0))))
