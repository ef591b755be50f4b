;; trapped says="called `error_write` with"
(module
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $error (i32.const 0) (i32.const 0x80000000))))
