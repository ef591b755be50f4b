;; trapped says="called `log` with pointer 4294901760" memory=2097152
;; The answer -1 is taken for a place.
(module
  (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $log (i32.const 1) (i32.mul (memory.grow (i32.const 1024)) (i32.const 65536)) (i32.const 1))))
