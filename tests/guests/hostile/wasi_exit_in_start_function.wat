;; succeeded reply_bytes=0
;; Leaving before `_start` is leaving.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (start $first)
  (func $first (call $exit (i32.const 0)))
  (func (export "_start") unreachable))
