;; out_of_memory memory=2097152 says="asked for 64 MiB"
;; As a C program does whose `malloc` answers nothing.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (memory.grow (i32.const 1023)))
    (call $exit (i32.const 1))))
