;; timed_out timeout_ms=50
;; Nothing but vectors of 128 bits.
(module
  (memory (export "memory") 16)
  (func (export "_start") (local $v v128)
    (loop
      (local.set $v (i32x4.add (i8x16.swizzle (local.get $v) (v128.const i32x4 1 2 3 4)) (v128.load (i32.const 64))))
      (v128.store (i32.const 1000000) (f64x2.sqrt (f64x2.mul (local.get $v) (local.get $v))))
      (br 0))))
