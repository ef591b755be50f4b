;; timed_out timeout_ms=100
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (loop
      (drop (call $args (i32.const 0) (i32.const 64)))
      (drop (call $environ (i32.const 0) (i32.const 64)))
      (br 0))))
