;; succeeded
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 3)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (call $assert (i32.eq (call $poll (i32.const 0) (i32.const 65536) (i32.const 1025) (i32.const 131000)) (i32.const 28)))
    (call $assert (i32.eq (call $poll (i32.const 0) (i32.const 65536) (i32.const 100000) (i32.const 131000)) (i32.const 28)))
    (call $assert (i32.eq (call $poll (i32.const 0) (i32.const 65536) (i32.const -1) (i32.const 131000)) (i32.const 28)))))
