;; failed memory=2097152 says="no room"
;; A guest that can say what is wrong is believed.
(module
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "no room")
  (func (export "_start")
    (drop (memory.grow (i32.const 1024)))
    (call $error (i32.const 0) (i32.const 7))
    (call $verdict (i32.const 1) (i64.const -1))
    unreachable))
