;; out_of_memory memory=2097152 says="the limit is 2 MiB"
(module
  (memory (export "memory") 1)
  (func $first (if (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)) (then unreachable)))
  (start $first)
  (func (export "_start")))
