;; timed_out timeout_ms=100
(module
  (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 256)
  (func (export "_start")
    (loop
      (call $log (i32.const 9) (i32.const 0) (i32.const 16777216))
      (call $log (i32.const 9) (i32.const 0) (i32.const 0))
      (call $log (i32.const 9) (i32.const 0) (i32.const 100))
      (br 0))))
