;; out_of_fuel fuel=100000 says="fuel of 100000"
(module
  (@custom "afresh.tasks" "{\22task\22:\22fuel_with_host_calls\22,\22fuel\22:100000}")
  (import "afresh_v1" "payload_len" (func $len (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (loop (drop (call $len)) (br 0))))
