;; trapped says="ran out of stack"
(module
  (memory (export "memory") 1)
  (func $a (param i32) (result i32) (i32.add (local.get 0) (call $b (local.get 0))))
  (func $b (param i32) (result i32) (i32.mul (local.get 0) (call $a (local.get 0))))
  (func (export "_start") (drop (call $a (i32.const 1)))))
