;; trapped says="divided" memory=2097152
;; All it may have, and nothing was refused: what it dies of is its own.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.eq (memory.grow (i32.const 31)) (i32.const -1)) (then unreachable))
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 2097152))
    (drop (i32.div_u (i32.const 1) (i32.const 0)))))
