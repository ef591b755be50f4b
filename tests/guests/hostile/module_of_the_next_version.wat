;; bad_module says="ABI `afresh_v2`"
(module
  (import "afresh_v2" "log" (func (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
