;; bad_module says="not valid here"
(module
  (memory (export "memory") 1)
  (type (struct (field i32)))
  (func (export "_start")))
