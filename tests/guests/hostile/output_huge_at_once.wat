;; over_limit memory=67108864
(module
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (memory (export "memory") 1024)
  (func (export "_start") (call $reply (i32.const 0) (i32.const 67108864))))
