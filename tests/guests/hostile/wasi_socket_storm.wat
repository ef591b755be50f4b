;; timed_out timeout_ms=100
(module
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (loop (drop (call $accept (i32.const 3) (i32.const 0) (i32.const 64))) (br 0))))
