;; bad_module says="not valid here"
;; An array of 8 GB, which no limit on linear memory would hold.
(module
  (memory (export "memory") 1)
  (type $a (array (mut i64)))
  (func (export "_start") (drop (array.new_default $a (i32.const 1000000000)))))
