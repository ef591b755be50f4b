;; succeeded
;; Four tables of as many elements as one may have, all of them written to.
(module
  (memory (export "memory") 1)
  (table $a 100000 funcref)
  (table $b 100000 funcref)
  (table $c 100000 funcref)
  (table $d 100000 funcref)
  (elem declare func $f)
  (func $f)
  (func (export "_start")
    (table.fill $a (i32.const 0) (ref.func $f) (i32.const 100000))
    (table.fill $b (i32.const 0) (ref.func $f) (i32.const 100000))
    (table.fill $c (i32.const 0) (ref.func $f) (i32.const 100000))
    (table.fill $d (i32.const 0) (ref.func $f) (i32.const 100000))))
