;; trapped says="stopped by a host function"
;; A start function runs while the instance is made, but it is the guest's code all the same.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (start $first)
  (func $first (drop (call $args (i32.const 0x7ffffff0) (i32.const 0x7ffffff0))))
  (func (export "_start")))
