;; succeeded progress=0.25
;; Infinities and what is not a number, a million times; then a last word.
(module
  (import "afresh_v1" "progress" (func $progress (param f64)))
  (memory (export "memory") 1)
  (func (export "_start") (local $left i32)
    (local.set $left (i32.const 1000000))
    (loop
      (call $progress (f64.const nan))
      (call $progress (f64.const inf))
      (call $progress (f64.const -inf))
      (call $progress (f64.const nan:0x8000000000001))
      (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $progress (f64.const 0.25))))
