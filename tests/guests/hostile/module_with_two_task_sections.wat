;; bad_module says="two tasks sections"
(module
  (@custom "afresh.tasks" "{\22task\22:\22a\22}")
  (@custom "afresh.tasks" "{\22task\22:\22b\22}")
  (memory (export "memory") 1)
  (func (export "_start")))
