;; trapped says="stopped by a host function"
;; A start function runs while the instance is made, but it is the guest's code all the same.
(module
  (import "wasi_snapshot_preview1" "clock_res_get" (func $resolution (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (start $first)
  (func $first (drop (call $resolution (i32.const 1) (i32.const 0x7ffffff0))))
  (func (export "_start")))
