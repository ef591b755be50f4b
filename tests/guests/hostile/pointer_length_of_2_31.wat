;; trapped says="called `payload_read` with pointer 0 and length 2147483648"
(module
  (import "afresh_v1" "payload_read" (func $read (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0x80000000) (i32.const 0)))))
