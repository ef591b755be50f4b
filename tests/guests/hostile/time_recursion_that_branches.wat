;; timed_out timeout_ms=50
;; Two to the power of 60 calls, never deeper than 60.
(module
  (memory (export "memory") 1)
  (func $tree (param i32)
    (if (i32.eqz (local.get 0)) (then (return)))
    (call $tree (i32.sub (local.get 0) (i32.const 1)))
    (call $tree (i32.sub (local.get 0) (i32.const 1))))
  (func (export "_start") (call $tree (i32.const 60))))
