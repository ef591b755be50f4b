;; trapped says="outside its bounds"
(module
  (memory (export "memory") 1)
  (func (export "_start") (i64.store (i32.const 65529) (i64.const 1))))
