;; timed_out timeout_ms=50
(module
  (import "afresh_v1" "payload_len" (func $len (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (loop (drop (call $len)) (br 0))))
