;; succeeded memory=134217728
;; All of 128 MiB.
(module
  (memory (export "memory") 2048)
  (func (export "_start") (memory.fill (i32.const 0) (i32.const 7) (i32.const 134217728))))
