;; timed_out timeout_ms=100 payload="hello"
(module
  (import "afresh_v1" "payload_read" (func $read_payload (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (loop (drop (call $read_payload (i32.const 0) (i32.const 60000) (i32.const 0))) (br 0))))
