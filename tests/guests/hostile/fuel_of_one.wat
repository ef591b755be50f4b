;; out_of_fuel fuel=1 says="fuel of 1"
(module
  (@custom "afresh.tasks" "{\22task\22:\22fuel_of_one\22,\22fuel\22:1}")
  (import "afresh_v1" "payload_len" (func $len (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $len)) (drop (call $len)) (drop (call $len))))
