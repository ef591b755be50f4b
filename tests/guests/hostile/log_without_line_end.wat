;; timed_out timeout_ms=100
;; An SDK module's stdout and stderr are logs.
(module
  (import "afresh_v1" "payload_len" (func $len (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 256)
  (data (i32.const 0) "\40\00\00\00\00\00\10\00")
  (func (export "_start")
    (drop (call $len))
    (loop
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
      (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 20)))
      (br 0))))
