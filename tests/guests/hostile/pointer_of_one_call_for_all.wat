;; succeeded reply="AAAA" payload="AAAA"
;; Buffer, list of buffers and count in one place: strange, and nobody else's business.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\00\00\00\04\00\00\00")
  (data (i32.const 64) "\80\00\00\00\04\00\00\00")
  (func (export "_start")
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0)))
    (i32.store (i32.const 128) (i32.const 0x41414141))
    (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 64)))))
