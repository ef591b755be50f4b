;; failed says="harm" error_bytes=28
;; Escape sequences, a bell, NUL, a C1 control, marks that turn the text round, and a space of no width.
(module
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "harm\1b[2J\1b]52;c;aGk=\07\0d\00\c2\9b\e2\80\ae\e2\81\a6\e2\80\8b")
  (func (export "_start")
    (call $error (i32.const 0) (i32.const 28))
    (call $verdict (i32.const 1) (i64.const -1))))
