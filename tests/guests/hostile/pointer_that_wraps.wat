;; trapped says="called `log` with pointer 4294967295 and length 4294967295"
(module
  (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $log (i32.const 0) (i32.const -1) (i32.const -1))))
