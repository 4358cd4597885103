// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs on functions and security hooks of the kernel: those that Linux takes, and those that it refuses, each for one reason. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct inode {
  unsigned long i_ino;
};

struct path {
  void *mnt;
  void *dentry;
};

struct file {
  struct path f_path;
  struct inode *f_inode;
  unsigned int f_flags;
};

struct task_struct {
  int pid;
  struct task_struct *real_parent;
};

struct cred {
  unsigned int val;
};

struct linux_binprm {
  struct file *file;
};

struct sock_common {
  unsigned short skc_family;
};

struct sock {
  struct sock_common __sk_common;
};

struct socket {
  short type;
  struct sock *sk;
};

#pragma clang attribute pop

struct {
  __uint(type, BPF_MAP_TYPE_INODE_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, __u64);
} of_inodes SEC(".maps");

__u64 out;
char text[64];

/* What Linux takes. */

SEC("fentry/vfs_getattr")
int BPF_PROG(entry_path, const struct path *path) {
  return bpf_d_path((struct path *)path, text, sizeof(text)) > 0 ? 0 : 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(entry_socket, struct sock *sk) {
  out = sk->__sk_common.skc_family + bpf_get_socket_cookie(sk);
  if (bpf_skc_to_tcp_sock(sk)) out++;
  return 0;
}

SEC("fexit/dentry_open")
int BPF_PROG(exit_pointer, const struct path *path, int flags, const void *cred, struct file *file) {
  out = path->dentry ? flags : 0;
  return 0;
}

SEC("fexit/tcp_connect")
int BPF_PROG(exit_number, struct sock *sk, int result) {
  if (result < 0) out = -result;
  return 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(arguments_by_helper) {
  __u64 first = 0;
  out = bpf_get_func_arg_cnt(ctx) + bpf_get_func_ip(ctx);
  return bpf_get_func_arg(ctx, 0, &first) ? 0 : 0;
}

SEC("lsm/file_open")
int BPF_PROG(hook, struct file *file) {
  __u64 *value = bpf_inode_storage_get(&of_inodes, file->f_inode, 0, 1);
  if (value) out = *value;
  return file->f_flags == 12345 ? -1 : 0;
}

SEC("lsm/bprm_committed_creds")
int BPF_PROG(hook_without_result, struct linux_binprm *bprm) {
  out = bprm->file->f_inode->i_ino;
  return 5;
}

SEC("lsm.s/bprm_check_security")
int BPF_PROG(hook_that_sleeps, struct linux_binprm *bprm) {
  return bpf_copy_from_user(text, sizeof(text), (void *)out) > 0 ? -1 : 0;
}

SEC("lsm/socket_connect")
int BPF_PROG(hook_result, struct socket *sock, void *address, int length, int result) {
  return result ? result : -(length == 99);
}

SEC("lsm/task_free")
int BPF_PROG(untrusted_hook, struct task_struct *task) {
  out = task->pid;
  return 0;
}

/* What it refuses. */

SEC("fentry/tcp_connect")
int BPF_PROG(entry_returns_one, struct sock *sk) {
  return 1;
}

SEC("fentry/tcp_connect")
int BPF_PROG(entry_result, struct sock *sk, int result) {
  out = result;
  return 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(entry_writes, struct sock *sk) {
  sk->__sk_common.skc_family = 1;
  return 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(entry_path_helper, struct sock *sk) {
  return bpf_d_path((void *)sk, text, sizeof(text));
}

SEC("fentry/vfs_getattr")
int BPF_PROG(entry_wrong_struct, const struct path *path) {
  return bpf_get_socket_cookie((void *)path);
}

SEC("lsm/file_open")
int BPF_PROG(hook_returns_one, struct file *file) {
  return 1;
}

SEC("lsm/file_open")
int BPF_PROG(hook_returns_any, struct file *file) {
  return bpf_get_prandom_u32();
}

SEC("lsm.s/file_alloc_security")
int BPF_PROG(hook_may_not_sleep, struct file *file) {
  return 0;
}

SEC("lsm/getprocattr")
int BPF_PROG(disabled_hook) {
  return 0;
}

SEC("lsm/file_open")
int BPF_PROG(hook_prints, struct file *file) {
  return bpf_seq_write((void *)file, text, 8);
}

SEC("lsm/inode_free_security")
int BPF_PROG(third_argument, struct inode *inode, __u64 second) {
  out = second;
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
