;; succeeded
;; Two sleeps of 1 and 300 ms in one call: only the first has happened when it answers. Then a stream is polled, which
;; is always ready. Then 100 000 subscriptions, which is refused.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (i64.store (i32.const 0) (i64.const 77))
    (i64.store (i32.const 24) (i64.const 1000000))
    (i64.store (i32.const 72) (i64.const 300000000))
    (call $assert (i32.eqz (call $poll (i32.const 0) (i32.const 256) (i32.const 2) (i32.const 512))))
    (call $assert (i32.eq (i32.load (i32.const 512)) (i32.const 1)))
    (call $assert (i64.eq (i64.load (i32.const 256)) (i64.const 77)))
    (i32.store8 (i32.const 56) (i32.const 2))   ;; the second one: write,
    (i32.store (i32.const 64) (i32.const 1))    ;; to stdout
    (call $assert (i32.eqz (call $poll (i32.const 0) (i32.const 256) (i32.const 2) (i32.const 512))))
    (call $assert (i32.eq (i32.load8_u (i32.const 266)) (i32.const 2)))
    (call $assert (i32.eq (call $poll (i32.const 0) (i32.const 0) (i32.const 100000) (i32.const 512)) (i32.const 28)))
    (call $assert (i32.eq (call $poll (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512)) (i32.const 28)))))
