;; trapped says="a table outside its bounds"
(module
  (memory (export "memory") 1)
  (table $t 10 funcref)
  (elem $e func $f)
  (func $f)
  (func (export "_start")
    (elem.drop $e)
    (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))))
