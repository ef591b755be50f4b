;; timed_out timeout_ms=50 says="time limit of 50ms"
(module
  (memory (export "memory") 1)
  (func (export "_start") (loop (br 0))))
