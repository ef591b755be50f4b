;; succeeded
(module
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (call $assert (i32.eq (table.grow $t (ref.null func) (i32.const -1)) (i32.const -1)))
    (call $assert (i32.eq (table.grow $t (ref.null func) (i32.const 100000)) (i32.const -1)))
    (call $assert (i32.eq (table.grow $t (ref.null func) (i32.const 99999)) (i32.const 1)))))
