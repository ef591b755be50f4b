;; succeeded memory=2097152 reply="ok"
;; A guest that can live with what it has is left alone.
(module
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "ok")
  (func (export "_start")
    (drop (memory.grow (i32.const 1024)))
    (call $reply (i32.const 0) (i32.const 2))))
