;; rejected kind="bad_payload" says="expected a number"
(module
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "expected a number")
  (func (export "_start")
    (call $error (i32.const 0) (i32.const 17))
    (call $verdict (i32.const 5) (i64.const -1))))
