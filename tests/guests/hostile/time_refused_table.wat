;; timed_out timeout_ms=50
(module
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (func (export "_start") (loop (drop (table.grow $t (ref.null func) (i32.const -1))) (br 0))))
