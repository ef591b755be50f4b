;; bad_module says="10000000 elements in a table"
(module
  (memory (export "memory") 1)
  (table 10000000 funcref)
  (func (export "_start")))
