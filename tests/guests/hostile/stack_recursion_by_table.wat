;; trapped says="ran out of stack"
(module
  (memory (export "memory") 1)
  (type $t (func (result i32)))
  (table 1 1 funcref)
  (elem (i32.const 0) $f)
  (func $f (result i32) (i32.add (i32.const 1) (call_indirect (type $t) (i32.const 0))))
  (func (export "_start") (drop (call $f))))
