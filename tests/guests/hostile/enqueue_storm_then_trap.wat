;; trapped says="unreachable" grants=elsewhere jobs=0
;; Of an attempt that does not succeed nothing is enqueued.
(module
  (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{\22task\22:\22t\22,\22queue\22:\22elsewhere\22}")
  (func (export "_start") (local $left i32)
    (local.set $left (i32.const 900))
    (loop
      (drop (call $enqueue (i32.const 0) (i32.const 32) (i32.const 0) (i32.const 9)))
      (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    unreachable))
