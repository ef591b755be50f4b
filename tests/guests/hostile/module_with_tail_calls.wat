;; bad_module says="not valid here"
(module
  (memory (export "memory") 1)
  (func $f (return_call $f))
  (func (export "_start")))
