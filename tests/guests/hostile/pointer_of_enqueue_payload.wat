;; trapped says="called `enqueue` with pointer 4294967295 and length 4294967295"
(module
  (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $enqueue (i32.const 0) (i32.const 2) (i32.const -1) (i32.const -1)))))
