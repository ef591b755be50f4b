;; timed_out timeout_ms=50
;; A guest that asks how long it has, and stays to the end.
(module
  (import "afresh_v1" "deadline_left_us" (func $left (result i64)))
  (memory (export "memory") 1)
  (func (export "_start") (loop (br_if 0 (i64.ge_s (call $left) (i64.const 0))))))
