;; timed_out timeout_ms=100 progress=1
(module
  (import "afresh_v1" "progress" (func $progress (param f64)))
  (memory (export "memory") 1)
  (func (export "_start") (loop (call $progress (f64.const 1e308)) (br 0))))
