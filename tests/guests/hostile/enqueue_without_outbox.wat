;; succeeded reply="1"
;; Nobody granted it an outbox, so what it puts is not allowed, however large it is.
(module
  (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (memory (export "memory") 16)
  (func $put (param i32 i32) (result i32)
    (call $enqueue (i32.const 0) (local.get 0) (i32.const 0) (local.get 1)))
  (func (export "_start")
    (if (i32.ne (call $put (i32.const 1000000) (i32.const 1000000)) (i32.const 1)) (then unreachable))
    (i32.store8 (i32.const 0) (i32.add (i32.const 48) (call $put (i32.const 2) (i32.const 2))))
    (call $reply (i32.const 0) (i32.const 1))))
