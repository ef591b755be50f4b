;; trapped says="called `enqueue` with pointer 65530 and length 7, which is outside its memory of 65536 bytes"
(module
  (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $enqueue (i32.const 65530) (i32.const 7) (i32.const 0) (i32.const 0)))))
