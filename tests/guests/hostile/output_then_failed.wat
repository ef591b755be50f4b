;; failed says="after all"
;; A reply, a verdict, and a reply again: the verdict stands.
(module
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "after all")
  (func (export "_start")
    (call $reply (i32.const 0) (i32.const 16))
    (call $verdict (i32.const 1) (i64.const -1))
    (call $error (i32.const 0) (i32.const 9))
    (call $reply (i32.const 0) (i32.const 16))))
