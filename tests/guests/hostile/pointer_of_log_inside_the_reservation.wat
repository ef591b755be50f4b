;; trapped says="called `log` with"
(module
  (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $log (i32.const 0) (i32.const 0x40000000) (i32.const 16))))
