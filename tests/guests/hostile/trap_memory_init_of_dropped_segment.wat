;; trapped says="outside its bounds"
(module
  (memory (export "memory") 1)
  (data $d "0123")
  (func (export "_start")
    (data.drop $d)
    (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))))
