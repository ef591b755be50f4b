;; trapped says="unreachable" memory=2097152
;; It gets less and goes on: what it dies of later is not this.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (memory.grow (i32.const 1024)))
    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (loop (br 0))))
    unreachable))
