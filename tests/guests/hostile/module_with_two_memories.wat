;; bad_module says="2 memories, the limit is 1"
(module
  (memory (export "memory") 1)
  (memory 1)
  (func (export "_start")))
