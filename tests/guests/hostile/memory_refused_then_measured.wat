;; out_of_memory memory=2097152
;; To grow by nothing is to ask how large the memory is, and no answer to a lack of it.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (memory.grow (i32.const 1024)))
    (drop (memory.grow (i32.const 0)))
    unreachable))
