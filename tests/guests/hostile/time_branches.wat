;; timed_out timeout_ms=50
;; A table of branches, with as many ways back into the loop.
(module
  (memory (export "memory") 1)
  (global $n (mut i32) (i32.const 0))
  (func (export "_start")
    (loop $again
      (global.set $n (i32.mul (i32.add (global.get $n) (i32.const 12345)) (i32.const 1103515245)))
      (block $a (block $b (block $c (block $d
        (br_table $a $b $c $d $again $a $b $c $d $again $a $b $c $d $again $d (global.get $n))))))
      (br $again))))
