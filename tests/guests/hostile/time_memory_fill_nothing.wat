;; timed_out timeout_ms=50
(module
  (memory (export "memory") 1)
  (func (export "_start") (loop (memory.fill (i32.const 65536) (i32.const 1) (i32.const 0)) (br 0))))
