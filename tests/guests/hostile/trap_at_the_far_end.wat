;; trapped says="outside its bounds"
;; The furthest address that a load can name: twice four GiB.
(module
  (memory (export "memory") 1)
  (func (export "_start") (drop (i64.load offset=0xffffffff (i32.const -1)))))
