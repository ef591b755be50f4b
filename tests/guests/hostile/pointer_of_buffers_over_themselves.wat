;; trapped says="called `fd_read` with pointer 1094795585 and length 1094795585" payload="AAAAAAAA"
;; The first buffer is where the list has the second: what is read becomes its pointer and its length.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\08\00\00\00")
  (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 32)))))
