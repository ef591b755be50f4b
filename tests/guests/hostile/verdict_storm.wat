;; timed_out timeout_ms=100
(module
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (func (export "_start") (loop (call $verdict (i32.const 1) (i64.const 0)) (br 0))))
