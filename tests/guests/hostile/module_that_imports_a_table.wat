;; bad_module says="`afresh_v1.log`"
(module
  (import "afresh_v1" "log" (table 1 funcref))
  (memory (export "memory") 1)
  (func (export "_start")))
