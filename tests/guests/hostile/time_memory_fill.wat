;; timed_out timeout_ms=50 memory=67108864
(module
  (memory (export "memory") 1024)
  (func (export "_start")
    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 67108864)) (br 0))))
