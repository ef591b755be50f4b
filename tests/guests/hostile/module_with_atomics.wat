;; bad_module says="not valid here"
(module
  (memory (export "memory") 1)
  (func (export "_start") (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))))
