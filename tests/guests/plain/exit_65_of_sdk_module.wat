;; rejected says="exited with code 65"
;; Without a verdict an exit code means the same in an SDK module as in a plain command.
(module
  (import "afresh_v1" "payload_len" (func $payload_len (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $payload_len))
    (call $exit (i32.const 65))))
