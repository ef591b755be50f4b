;; timed_out timeout_ms=50
(module
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (loop (drop (call $yield)) (br 0))))
