;; trapped says="a table outside its bounds"
(module
  (memory (export "memory") 1)
  (table $t 10 funcref)
  (func (export "_start") (table.fill $t (i32.const 5) (ref.null func) (i32.const 0xfffffff0))))
