;; out_of_memory memory=2097152 says="asked for 65 MiB of memory, has 1 MiB, the limit is 2 MiB"
;; Grows far at once, and aborts when it may not, as an allocator does.
(module
  (memory (export "memory") 16)
  (func (export "_start")
    (if (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)) (then unreachable))))
