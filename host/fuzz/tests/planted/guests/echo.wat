;; Replies with its payload: nothing is wrong with it.
(module
  (import "afresh_v1" "payload_len" (func $len (result i32)))
  (import "afresh_v1" "payload_read" (func $read (param i32 i32 i32) (result i32)))
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (memory (export "memory") 32)
  (func (export "_start")
    (drop (call $read (i32.const 1024) (call $len) (i32.const 0)))
    (call $reply (i32.const 1024) (call $len))))
