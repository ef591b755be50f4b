;; failed says="no luck" retry_after_ms=1500
(module
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "no luck")
  (func (export "_start")
    (call $error (i32.const 0) (i32.const 2))
    (call $error (i32.const 2) (i32.const 5))
    (call $verdict (i32.const 2) (i64.const -1)) ;; the last one wins
    (call $verdict (i32.const 1) (i64.const 1500))))
