;; succeeded
;; `argv[0]` is the task's name, here `guest`, and the environment is what the host gave: one variable of 5 bytes and NUL.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $is (param i32 i32) (if (i32.ne (i32.load (local.get 0)) (local.get 1)) (then unreachable)))
  (func (export "_start")
    (drop (call $args (i32.const 0) (i32.const 4)))
    (drop (call $environ (i32.const 8) (i32.const 12)))
    (call $is (i32.const 0) (i32.const 1))
    (call $is (i32.const 4) (i32.const 6))
    (call $is (i32.const 8) (i32.const 1))
    (call $is (i32.const 12) (i32.const 6))))
