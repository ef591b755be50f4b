;; trapped says="called `payload_read` with"
(module
  (import "afresh_v1" "payload_read" (func $read_payload (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $read_payload (i32.const 0xfffffff0) (i32.const 0x20) (i32.const -1)))))
