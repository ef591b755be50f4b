;; trapped says="divided" memory=2097152
;; A fault of its own is no lack of memory, whatever was refused before.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (memory.grow (i32.const 1024)))
    (drop (i32.div_u (i32.const 1) (i32.const 0)))))
