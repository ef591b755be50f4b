;; bad_module says="`wasi:cli/run@0.2.0.run`"
(module
  (import "wasi:cli/run@0.2.0" "run" (func (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
