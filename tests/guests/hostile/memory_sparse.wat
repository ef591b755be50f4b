;; succeeded memory=134217728
;; Eight bytes, spread over 128 MiB.
(module
  (memory (export "memory") 2000)
  (data (i32.const 0) "x")
  (data (i32.const 16000000) "x")
  (data (i32.const 32000000) "x")
  (data (i32.const 48000000) "x")
  (data (i32.const 64000000) "x")
  (data (i32.const 80000000) "x")
  (data (i32.const 96000000) "x")
  (data (i32.const 112000000) "x")
  (func (export "_start")))
