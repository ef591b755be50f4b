;; bad_module says="the module is refused"
(module
  (@custom "afresh.tasks" "\ff\fe\00[[[[[[")
  (memory (export "memory") 1)
  (func (export "_start")))
