;; bad_module says="not valid here"
(module
  (memory (export "memory") i64 1)
  (func (export "_start")))
