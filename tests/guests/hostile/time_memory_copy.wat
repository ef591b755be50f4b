;; timed_out timeout_ms=50 memory=67108864
;; 64 MiB over itself, one byte further.
(module
  (memory (export "memory") 1024)
  (func (export "_start") (loop (memory.copy (i32.const 1) (i32.const 0) (i32.const 67108863)) (br 0))))
