;; timed_out timeout_ms=100
;; Eight million empty buffers in one call that is not ours.
(module
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 1024)
  (func (export "_start")
    (loop
      (drop (call $pwrite (i32.const 1) (i32.const 0) (i32.const 8388000) (i64.const 0) (i32.const 67108000)))
      (br 0))))
