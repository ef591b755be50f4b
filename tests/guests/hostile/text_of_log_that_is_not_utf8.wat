;; succeeded log="�"
(module
  (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 2)
  (func (export "_start")
    (memory.fill (i32.const 0) (i32.const 0xff) (i32.const 100000))
    (call $log (i32.const 0x80000000) (i32.const 0) (i32.const 100000))
    (call $log (i32.const -1) (i32.const 0) (i32.const 500))))
