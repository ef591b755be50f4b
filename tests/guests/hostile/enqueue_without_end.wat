;; timed_out timeout_ms=100 grants=elsewhere jobs=0
(module
  (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 16)
  (data (i32.const 0) "{\22task\22:\22t\22,\22queue\22:\22elsewhere\22}")
  (func (export "_start")
    (loop
      (drop (call $enqueue (i32.const 0) (i32.const 32) (i32.const 0) (i32.const 1000000)))
      (br 0))))
