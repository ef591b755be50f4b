;; succeeded
;; A signal for the worker: not supported, whichever it is.
(module
  (import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))
  (memory (export "memory") 1)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (call $assert (call $raise (i32.const 9)))
    (call $assert (call $raise (i32.const 11)))))
