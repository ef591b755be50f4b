;; trapped says="null"
(module
  (memory (export "memory") 1)
  (type $t (func))
  (table 10 funcref)
  (func (export "_start") (call_indirect (type $t) (i32.const 3))))
