;; succeeded reply_bytes=1024
;; The last byte there is room for, and then none.
(module
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $reply (i32.const 0) (i32.const 1023))
    (call $reply (i32.const 9) (i32.const 1))
    (call $reply (i32.const 9) (i32.const 0))))
