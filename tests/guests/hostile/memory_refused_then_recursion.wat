;; trapped says="ran out of stack" memory=2097152
(module
  (memory (export "memory") 1)
  (func $down (result i32) (i32.add (i32.const 1) (call $down)))
  (func (export "_start")
    (drop (memory.grow (i32.const 1024)))
    (drop (call $down))))
