;; timed_out timeout_ms=50
;; As many subscriptions as one call may have, each for a year.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start") (local $at i32)
    (loop
      (i32.store (i32.add (local.get $at) (i32.const 16)) (i32.const 1))
      (i64.store (i32.add (local.get $at) (i32.const 24)) (i64.const 31536000000000000))
      (local.set $at (i32.add (local.get $at) (i32.const 48)))
      (br_if 0 (i32.lt_u (local.get $at) (i32.const 49152))))
    (drop (call $poll (i32.const 0) (i32.const 65536) (i32.const 1024) (i32.const 131000)))))
