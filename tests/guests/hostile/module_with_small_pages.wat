;; bad_module says="not valid here"
(module
  (memory (export "memory") 1 (pagesize 1))
  (func (export "_start")))
