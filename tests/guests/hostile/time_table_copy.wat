;; timed_out timeout_ms=50
(module
  (memory (export "memory") 1)
  (table $a 100000 funcref)
  (table $b 100000 funcref)
  (func (export "_start") (loop (table.copy $a $b (i32.const 0) (i32.const 0) (i32.const 100000)) (br 0))))
