;; timed_out timeout_ms=50 memory=2097152
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (memory.grow (i32.const 1024)))
    (loop (br 0))))
