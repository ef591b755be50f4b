;; failed says="exited with code 3"
(module
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $reply (i32.const 0) (i32.const 16))
    (call $exit (i32.const 3))))
