;; succeeded payload="hello"
(module
  (import "afresh_v1" "payload_len" (func (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\03\00\00\00")
  (func (export "_start")
    (i32.store (i32.const 16) (i32.const 9))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
    (if (i32.load (i32.const 16)) (then unreachable))))
