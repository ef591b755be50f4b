;; timed_out timeout_ms=100
;; A name of which the host would make a copy, if it were not refused.
(module
  (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
  (memory (export "memory") 257)
  (func (export "_start")
    (memory.fill (i32.const 0) (i32.const 97) (i32.const 16777216))
    (loop
      (drop (call $mkdir (i32.const 3) (i32.const 0) (i32.const 16777216)))
      (br 0))))
