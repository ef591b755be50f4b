;; panicked says="bytes cut" error_bytes=268435456 timeout_ms=60000
(module
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 256)
  (func (export "_start") (local $left i32)
    (memory.fill (i32.const 0) (i32.const 120) (i32.const 16777216))
    (call $verdict (i32.const 4) (i64.const -1))
    (local.set $left (i32.const 16))
    (loop
      (call $error (i32.const 0) (i32.const 16777216))
      (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    unreachable))
