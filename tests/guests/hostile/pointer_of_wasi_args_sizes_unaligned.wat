;; trapped says="called `args_sizes_get` with pointer 1, which is not aligned"
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $args_sizes (i32.const 1) (i32.const 5)))))
