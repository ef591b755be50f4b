;; succeeded payload="hello" reply="hello" log="note"
;; An SDK module that copies its payload to its reply, logs a line, and returns.
(module
  (import "afresh_v1" "payload_len" (func $len (result i32)))
  (import "afresh_v1" "payload_read" (func $read (param i32 i32 i32) (result i32)))
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "note")
  (func (export "_start")
    (call $log (i32.const 1) (i32.const 0) (i32.const 4))
    ;; in two pieces, since both sides append
    (drop (call $read (i32.const 64) (i32.const 2) (i32.const 0)))
    (call $reply (i32.const 64) (i32.const 2))
    (drop (call $read (i32.const 64) (call $len) (i32.const 2)))
    (call $reply (i32.const 64) (i32.sub (call $len) (i32.const 2)))))
