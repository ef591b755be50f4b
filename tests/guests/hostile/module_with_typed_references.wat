;; bad_module says="not valid here"
(module
  (memory (export "memory") 1)
  (type $t (func))
  (func (export "_start") (call_ref $t (ref.null $t))))
