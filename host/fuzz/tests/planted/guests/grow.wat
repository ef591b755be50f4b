;; Takes the first four bytes of its payload for a length, and wants that much memory.
(module
  (import "afresh_v1" "payload_read" (func $read (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.ne (call $read (i32.const 0) (i32.const 4) (i32.const 0)) (i32.const 4)) (then (return)))
    (if (i32.eq (memory.grow (i32.shr_u (i32.load (i32.const 0)) (i32.const 16))) (i32.const -1))
      (then (unreachable)))))
