;; bad_module says="does not export its memory"
(module
  (func (export "_start")))
