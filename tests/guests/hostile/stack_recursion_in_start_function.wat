;; trapped says="ran out of stack"
(module
  (memory (export "memory") 1)
  (func $down (result i32) (i32.add (i32.const 1) (call $down)))
  (func $first (drop (call $down)))
  (start $first)
  (func (export "_start")))
