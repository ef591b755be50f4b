;; out_of_memory says="the limit is 128 KiB"
;; The wall is the module's own.
(module
  (memory (export "memory") 1 2)
  (func (export "_start")
    (if (i32.eq (memory.grow (i32.const 2)) (i32.const -1)) (then unreachable))))
