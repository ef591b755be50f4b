;; failed error_bytes=100000
;; NUL, a hundred thousand times: six bytes each where it is written as JSON.
(module
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 2)
  (func (export "_start")
    (call $error (i32.const 0) (i32.const 100000))
    (call $verdict (i32.const 1) (i64.const -1))))
