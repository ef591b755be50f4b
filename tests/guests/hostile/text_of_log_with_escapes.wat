;; succeeded log="harm"
(module
  (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "harm\1b[2J\1b]52;c;aGk=\07\0d\00\c2\9b\e2\80\ae\e2\81\a6\e2\80\8b")
  (func (export "_start") (call $log (i32.const 2) (i32.const 0) (i32.const 28))))
