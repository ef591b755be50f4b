;; trapped says="called `payload_read` with"
;; Nothing is read, and the range is wrong all the same.
(module
  (import "afresh_v1" "payload_read" (func $read_payload (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $read_payload (i32.const 65535) (i32.const 2) (i32.const 0)))))
