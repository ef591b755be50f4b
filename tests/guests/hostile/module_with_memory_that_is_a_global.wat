;; bad_module says="is not a memory"
(module
  (func (export "_start"))
  (global (export "memory") i32 (i32.const 0)))
