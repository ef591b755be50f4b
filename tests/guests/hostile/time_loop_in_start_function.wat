;; timed_out timeout_ms=50
;; A start function runs while the instance is made, before `_start`.
(module
  (memory (export "memory") 1)
  (func $init (loop (br 0)))
  (start $init)
  (func (export "_start")))
