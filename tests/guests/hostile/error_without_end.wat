;; timed_out timeout_ms=100
(module
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (memory (export "memory") 256)
  (func (export "_start") (loop (call $error (i32.const 0) (i32.const 16777216)) (br 0))))
