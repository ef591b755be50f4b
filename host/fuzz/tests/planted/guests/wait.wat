;; Never ends where its payload begins with "e", and takes 400 ms by the clock where it begins with "w".
(module
  (import "afresh_v1" "payload_read" (func $read (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  ;; Nanoseconds of the clock that only goes forward.
  (func $now (result i64)
    (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 8)))
    (i64.load (i32.const 8)))
  (func (export "_start") (local $until i64)
    (drop (call $read (i32.const 0) (i32.const 1) (i32.const 0)))
    (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 0x65)) (then (loop (br 0))))
    (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 0x77)) (then
      (local.set $until (i64.add (call $now) (i64.const 400000000)))
      (loop (br_if 0 (i64.lt_u (call $now) (local.get $until))))))))
