;; timed_out timeout_ms=50
;; Asks for memory again and again, and never gives up.
(module
  (memory (export "memory") 1)
  (func (export "_start") (loop (drop (memory.grow (i32.const -1))) (br 0))))
