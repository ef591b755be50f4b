;; trapped says="outside its bounds" memory=2097152
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (memory.grow (i32.const 1024)))
    (drop (i32.load (i32.const -4)))))
