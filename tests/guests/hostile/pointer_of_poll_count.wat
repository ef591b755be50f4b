;; trapped says="called `poll_oneoff` with"
;; Where it is to write how many have happened.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store8 (i32.const 8) (i32.const 2))
    (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 65533)))))
