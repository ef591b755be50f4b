;; succeeded grants=elsewhere jobs=0
;; Refusal 1: not allowed.
(module
  (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{\22task\22:\22t\22,\22queue\22:\22default\22}")
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (call $assert (i32.eq (call $enqueue (i32.const 0) (i32.const 30) (i32.const 0) (i32.const 0)) (i32.const 1)))))
