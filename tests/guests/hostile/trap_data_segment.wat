;; trapped says="outside its bounds"
;; Fails while the instance is made.
(module
  (memory (export "memory") 1)
  (data (i32.const 65535) "too long")
  (func (export "_start")))
