;; out_of_fuel fuel=1000000 says="fuel of 1000000"
(module
  (memory (export "memory") 1)
  (func (export "_start") (loop (br 0))))
