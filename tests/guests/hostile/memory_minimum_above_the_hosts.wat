;; bad_module says="this host gives at most"
;; A GiB and a page.
(module
  (memory (export "memory") 16385)
  (func (export "_start")))
