;; trapped says="called `poll_oneoff` with"
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $poll (i32.const 65500) (i32.const 0) (i32.const 1) (i32.const 0)))))
