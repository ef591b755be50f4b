;; succeeded timeout_ms=60000
(module
  (import "afresh_v1" "deadline_left_us" (func $left (result i64)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i64.gt_s (call $left) (i64.const 60000000)) (then unreachable))
    (if (i64.le_s (call $left) (i64.const 0)) (then unreachable))))
