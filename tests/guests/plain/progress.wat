;; succeeded progress="1"
(module
  (import "afresh_v1" "progress" (func $progress (param f64)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $progress (f64.const 0.5))
    (call $progress (f64.const 7))
    (call $progress (f64.const nan))))
