;; timed_out timeout_ms=50
;; Numbers so small that the processor takes its time.
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $x f64)
    (local.set $x (f64.const 1e-310))
    (loop (local.set $x (f64.div (f64.sqrt (local.get $x)) (f64.const 1e150))) (br 0))))
