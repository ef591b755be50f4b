;; timed_out timeout_ms=50
(module
  (memory (export "memory") 1)
  (data $d "0123456789abcdef")
  (func (export "_start") (loop (memory.init $d (i32.const 64) (i32.const 0) (i32.const 16)) (br 0))))
