;; out_of_memory memory=2097152 says="asked for 4 MiB of memory, has none, the limit is 2 MiB"
(module
  (memory (export "memory") 64)
  (func (export "_start")))
