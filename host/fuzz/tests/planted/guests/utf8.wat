;; Panics, in two places, where its payload has a byte that no UTF-8 has.
(module
  (import "afresh_v1" "payload_len" (func $len (result i32)))
  (import "afresh_v1" "payload_read" (func $read (param i32 i32 i32) (result i32)))
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 2)
  (data (i32.const 16) "invalid byte, at src/main.rs:7:5")
  (data (i32.const 64) "another one, at src/main.rs:9:5")
  (func (export "_start") (local $at i32)
    (drop (call $read (i32.const 1024) (i32.const 65536) (i32.const 0)))
    (loop $next
      (if (i32.ge_u (local.get $at) (call $len)) (then (return)))
      (if (i32.eq (i32.load8_u (i32.add (i32.const 1024) (local.get $at))) (i32.const 0xff))
        (then (call $error (i32.const 16) (i32.const 32)) (call $verdict (i32.const 4) (i64.const -1)) (return)))
      (if (i32.eq (i32.load8_u (i32.add (i32.const 1024) (local.get $at))) (i32.const 0xfe))
        (then (call $error (i32.const 64) (i32.const 31)) (call $verdict (i32.const 4) (i64.const -1)) (return)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))))
