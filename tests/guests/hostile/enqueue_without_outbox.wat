;; succeeded jobs=0
;; Nobody granted it an outbox, so whatever it puts is refused, however large it is.
(module
  (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 16)
  (data (i32.const 0) "{\22task\22:\22t\22}")
  (func $refused (param i32 i32)
    (if (i32.eqz (call $enqueue (i32.const 0) (local.get 0) (i32.const 0) (local.get 1))) (then unreachable)))
  (func (export "_start")
    (call $refused (i32.const 12) (i32.const 0))
    (call $refused (i32.const 12) (i32.const 1000000))
    (call $refused (i32.const 1000000) (i32.const 1000000))))
