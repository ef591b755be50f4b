;; succeeded reply="fine"
;; Closing and renumbering the three descriptors there are changes nothing.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\04\00\00\00")
  (data (i32.const 64) "fine")
  (func (export "_start")
    (drop (call $close (i32.const 0)))
    (drop (call $renumber (i32.const 1) (i32.const 2)))
    (drop (call $renumber (i32.const 2) (i32.const 0x7fffffff)))
    (drop (call $renumber (i32.const -1) (i32.const 1)))
    (drop (call $close (i32.const 1)))
    (drop (call $close (i32.const 2)))
    (drop (call $close (i32.const 2)))
    (drop (call $close (i32.const -1)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))
