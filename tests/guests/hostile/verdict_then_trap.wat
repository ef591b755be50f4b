;; rejected says="without saying why"
;; What the guest says of itself wins over how it ended.
(module
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $verdict (i32.const 2) (i64.const -1))
    unreachable))
