;; succeeded
;; Nobody need know how long others have computed here.
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start") (call $assert (call $now (i32.const 2) (i64.const 0) (i32.const 0)))))
