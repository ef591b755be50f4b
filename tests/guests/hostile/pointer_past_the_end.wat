;; trapped says="called `reply_write` with pointer 65536 and length 1, which is outside its memory of 65536 bytes"
;; Past the memory, but inside what is reserved for it.
(module
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $reply (i32.const 65536) (i32.const 1))))
