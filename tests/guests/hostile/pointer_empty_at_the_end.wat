;; succeeded payload="hello"
;; No bytes at the memory's very end are fine, and so is an offset past the payload.
(module
  (import "afresh_v1" "payload_read" (func $read (param i32 i32 i32) (result i32)))
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (memory (export "memory") 1)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (call $error (i32.const 65536) (i32.const 0))
    (call $assert (i32.eqz (call $read (i32.const 65536) (i32.const 0) (i32.const 0))))
    (call $assert (i32.eqz (call $read (i32.const 0) (i32.const 9) (i32.const 5))))
    (call $assert (i32.eqz (call $read (i32.const 0) (i32.const 9) (i32.const -1))))
    (call $assert (i32.eq (call $read (i32.const 0) (i32.const 9) (i32.const 4)) (i32.const 1)))))
