;; bad_module says="is a WebAssembly component"
(component)
