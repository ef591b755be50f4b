;; bad_module says="`env.open_the_door`"
(module
  (import "env" "open_the_door" (func))
  (memory (export "memory") 1)
  (func (export "_start")))
