;; timed_out timeout_ms=50
(module
  (memory (export "memory") 1)
  (func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "_start") (loop (drop (call $f (i32.const 1))) (br 0))))
