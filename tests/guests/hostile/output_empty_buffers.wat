;; succeeded
;; A million empty buffers in one call are refused; 1024 are fine.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 256)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (call $assert (i32.eq (call $write (i32.const 1) (i32.const 64) (i32.const 1000000) (i32.const 20)) (i32.const 28)))
    (call $assert (i32.eqz (call $write (i32.const 1) (i32.const 64) (i32.const 1024) (i32.const 20))))))
