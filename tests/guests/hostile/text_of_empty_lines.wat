;; timed_out timeout_ms=100
;; Lines without a byte, as fast as it can.
(module
  (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 16)
  (func (export "_start")
    (memory.fill (i32.const 64) (i32.const 10) (i32.const 1000000))
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.const 1000000))
    (loop
      (call $log (i32.const 1) (i32.const 0) (i32.const 0))
      (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 20)))
      (br 0))))
