;; trapped says="a table outside its bounds"
;; Fails while the instance is made.
(module
  (memory (export "memory") 1)
  (table 1 funcref)
  (elem (i32.const 1) $f)
  (func $f)
  (func (export "_start")))
