;; trapped says="called `reply_write` with"
(module
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $reply (i32.const -1) (i32.const -1))))
