;; succeeded
;; No bytes at the very end of the memory are fine, whoever is asked.
(module
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
  (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (call $reply (i32.const 65536) (i32.const 0))
    (call $log (i32.const 1) (i32.const 65536) (i32.const 0))
    (call $assert (i32.eqz (call $random (i32.const 65536) (i32.const 0))))
    (call $assert (i32.eqz (call $read (i32.const 0) (i32.const 65536) (i32.const 0) (i32.const 65532))))
    (call $assert (i32.eqz (call $write (i32.const 1) (i32.const 65536) (i32.const 0) (i32.const 65532))))
    (call $assert (call $enqueue (i32.const 65536) (i32.const 0) (i32.const 65536) (i32.const 0)))))
