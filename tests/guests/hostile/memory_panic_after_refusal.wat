;; out_of_memory memory=2097152
;; The allocator's failure was turned into a panic.
(module
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (memory.grow (i32.const 1024)))
    (call $verdict (i32.const 4) (i64.const -1))
    unreachable))
