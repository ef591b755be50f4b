;; snoozed retry_after_ms=1000
;; A wait that is none.
(module
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (func (export "_start") (call $verdict (i32.const 3) (i64.const 0x8000000000000000))))
