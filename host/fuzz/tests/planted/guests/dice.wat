;; Replies with eight random bytes to payloads of three bytes or more.
(module
  (import "afresh_v1" "payload_len" (func $len (result i32)))
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.lt_u (call $len) (i32.const 3)) (then (return)))
    (drop (call $random (i32.const 0) (i32.const 8)))
    (call $reply (i32.const 0) (i32.const 8))))
