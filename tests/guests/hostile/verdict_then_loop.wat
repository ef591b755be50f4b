;; timed_out timeout_ms=50
;; A guest that says it has failed and goes on, as in a panic hook that never ends.
(module
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $verdict (i32.const 4) (i64.const -1))
    (loop (br 0))))
