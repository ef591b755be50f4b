;; panicked says="index out of bounds"
;; The panic hook speaks, then the panic aborts: the verdict wins over the trap.
(module
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "index out of bounds")
  (func (export "_start")
    (call $error (i32.const 0) (i32.const 19))
    (call $verdict (i32.const 4) (i64.const -1))
    unreachable))
