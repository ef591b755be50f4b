;; trapped says="called `fd_write` with"
;; A list that begins below 4 GiB and ends above.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const -8) (i32.const 2) (i32.const 0)))))
