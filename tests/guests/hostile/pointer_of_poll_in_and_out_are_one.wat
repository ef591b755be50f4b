;; succeeded
;; Events are written over the subscriptions they answer, and the count over both.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (i32.store8 (i32.const 8) (i32.const 1))   ;; a read of stdin,
    (i32.store8 (i32.const 56) (i32.const 2))  ;; a write
    (i32.store (i32.const 64) (i32.const 1))   ;; to stdout
    (call $assert (i32.eqz (call $poll (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 0))))
    (call $assert (i32.eq (i32.load (i32.const 0)) (i32.const 2)))))
