;; bad_module says="has no `_start`"
(module
  (memory (export "memory") 1))
