;; succeeded
;; Refused before anything of that length is looked at.
(module
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $assert (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func (export "_start")
    (call $assert (call $pwrite (i32.const 1) (i32.const 64) (i32.const 0x80000000) (i64.const 0) (i32.const 0)))
    (call $assert (call $pread (i32.const 0) (i32.const 64) (i32.const 0x80000000) (i64.const 0) (i32.const 0)))
    (call $assert (call $mkdir (i32.const 3) (i32.const 65000) (i32.const 0x80000000)))))
