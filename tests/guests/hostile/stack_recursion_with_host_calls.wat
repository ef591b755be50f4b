;; trapped says="ran out of stack"
;; A host function is called at every depth, so also at the last.
(module
  (import "afresh_v1" "payload_len" (func $len (result i32)))
  (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func $down (result i32)
    (call $log (i32.const 1) (i32.const 0) (i32.const 100))
    (i32.add (call $len) (call $down)))
  (func (export "_start") (drop (call $down))))
