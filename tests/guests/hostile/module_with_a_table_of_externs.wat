;; bad_module says="gc types are disallowed"
(module
  (memory (export "memory") 1)
  (table 1 externref)
  (func (export "_start")))
