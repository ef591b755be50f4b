;; timed_out timeout_ms=50
;; Segments that are dropped again and again.
(module
  (memory (export "memory") 1)
  (table $t 4 funcref)
  (data $d "0123456789abcdef")
  (elem $e func $f)
  (func $f)
  (func (export "_start") (loop (data.drop $d) (elem.drop $e) (br 0))))
