;; succeeded reply="0123456789abcdef"
(module
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "0123456789abcdef")
  (func (export "_start") (call $reply (i32.const 0) (i32.const 16))))
