;; trapped says="which is not a verdict"
(module
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (func (export "_start") (call $verdict (i32.const 0x80000000) (i64.const -1))))
