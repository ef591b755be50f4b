;; succeeded grants=elsewhere jobs=0
;; A spec of 60,000 opening brackets is no job; nor is one that is no text.
(module
  (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (memory.fill (i32.const 0) (i32.const 0x5b) (i32.const 60000))
    (call $assert (call $enqueue (i32.const 0) (i32.const 60000) (i32.const 0) (i32.const 0)))
    (memory.fill (i32.const 0) (i32.const 0xff) (i32.const 60000))
    (call $assert (call $enqueue (i32.const 0) (i32.const 60000) (i32.const 0) (i32.const 0)))))
