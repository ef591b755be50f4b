;; bad_module says="another signature"
(module
  (import "afresh_v1" "reply_write" (func (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "_start")))
