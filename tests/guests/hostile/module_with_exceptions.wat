;; bad_module says="not valid here"
(module
  (memory (export "memory") 1)
  (tag $t)
  (func (export "_start") (throw $t)))
