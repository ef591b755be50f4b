;; succeeded
;; Subscriptions to nothing there is: each is answered with an error, at once.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (i32.store8 (i32.const 8) (i32.const 200))
    (i32.store8 (i32.const 56) (i32.const 1))
    (i32.store (i32.const 64) (i32.const 77))
    (i32.store (i32.const 112) (i32.const 5))
    (call $assert (i32.eqz (call $poll (i32.const 0) (i32.const 256) (i32.const 3) (i32.const 512))))
    (call $assert (i32.eq (i32.load (i32.const 512)) (i32.const 3)))))
