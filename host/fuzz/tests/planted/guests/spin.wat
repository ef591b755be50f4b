;; Never ends where its payload has the byte 7 in second place.
(module
  (import "afresh_v1" "payload_read" (func $read (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $read (i32.const 0) (i32.const 2) (i32.const 0)))
    (if (i32.eq (i32.load8_u (i32.const 1)) (i32.const 7)) (then (loop (br 0))))))
