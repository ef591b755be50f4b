;; snoozed retry_after_ms=60000
(module
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (func (export "_start") (call $verdict (i32.const 3) (i64.const 60000))))
