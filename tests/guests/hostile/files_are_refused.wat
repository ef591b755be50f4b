;; succeeded
;; No preopens, no files, no sockets: every descriptor but 0, 1 and 2 is EBADF (8).
(module
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "/etc/passwd")
  (func $badf (param i32) (if (i32.ne (local.get 0) (i32.const 8)) (then unreachable)))
  (func (export "_start")
    (call $badf (call $prestat (i32.const 3) (i32.const 64)))
    (call $badf (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 11) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64)))
    (call $badf (call $write (i32.const 3) (i32.const 64) (i32.const 0) (i32.const 96)))
    (drop (call $accept (i32.const 3) (i32.const 0) (i32.const 64)))))
