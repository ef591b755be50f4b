;; trapped says="called `enqueue` with pointer 0 and length 2147483648"
(module
  (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $enqueue (i32.const 0) (i32.const 0x80000000) (i32.const 0) (i32.const 0)))))
