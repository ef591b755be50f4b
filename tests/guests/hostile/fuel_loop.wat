;; out_of_fuel fuel=1000000 says="fuel of 1000000"
(module
  (@custom "afresh.tasks" "{\22task\22:\22fuel_loop\22,\22fuel\22:1000000}")
  (import "afresh_v1" "payload_len" (func (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (loop (br 0))))
