;; trapped says="divided"
(module
  (memory (export "memory") 1)
  (func $first (drop (i32.rem_u (i32.const 1) (i32.const 0))))
  (start $first)
  (func (export "_start")))
