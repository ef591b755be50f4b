;; timed_out timeout_ms=100
(module
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (loop
      (drop (call $close (i32.const 0)))
      (drop (call $renumber (i32.const 2) (i32.const 1)))
      (drop (call $fdstat (i32.const 1) (i32.const 64)))
      (br 0))))
