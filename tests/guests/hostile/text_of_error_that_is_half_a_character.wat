;; failed says="�"
(module
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\f0\9f\98")
  (func (export "_start")
    (call $error (i32.const 0) (i32.const 3))
    (call $verdict (i32.const 1) (i64.const -1))))
