;; bad_module says="the module is refused"
(module
  (@custom "afresh.tasks" "{\22task\22:\22../../etc\22}")
  (memory (export "memory") 1)
  (func (export "_start")))
