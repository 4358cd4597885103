// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs that follow the kernel's objects by BTF: those that Linux takes, and those that it refuses, each for one reason. */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;
struct pt_regs;

struct super_block {
  unsigned long s_magic;
};

struct inode {
  unsigned short i_mode;
  unsigned long i_ino;
  struct super_block *i_sb;
};

struct path {
  void *mnt;
  void *dentry;
};

struct file {
  struct path f_path;
  struct inode *f_inode;
};

struct mm_struct {
  struct file *exe_file;
  unsigned long arg_start;
};

struct pid {
  int level;
};

struct signal_struct {
  struct pid *pids[4];
};

struct task_struct {
  int pid;
  int tgid;
  char comm[16];
  unsigned int flags;
  void *stack;
  struct task_struct *real_parent;
  struct task_struct *group_leader;
  struct task_struct *parent;
  struct mm_struct *mm;
  struct signal_struct *signal;
  unsigned in_execve : 1;
};

struct linux_binprm {
  struct file *file;
  const char *filename;
  int argc;
};

struct sock_common {
  unsigned short skc_family;
};

struct sock {
  struct sock_common __sk_common;
};

struct net_device {
  int ifindex;
};

struct sk_buff {
  struct net_device *dev;
  unsigned int len;
  struct sock *sk;
};

struct bpf_iter_meta {
  struct seq_file *seq;
  __u64 session_id;
  __u64 seq_num;
};

struct bpf_iter__task {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
};

struct bpf_iter__task_file {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  __u32 fd;
  struct file *file;
};

#pragma clang attribute pop

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, __u64);
} of_tasks SEC(".maps");

__u64 out;
char text[64];

/* Hidden: libbpf makes it a static function, which is verified where it is called. */
__weak __hidden int tgid_of(struct task_struct *task, __u64 *result) {
  *result = task->tgid;
  return 0;
}

/* What Linux takes. */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(walks, struct task_struct *parent, struct task_struct *child) {
  out = child->real_parent->tgid + child->group_leader->pid + parent->flags;
  return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(through_untrusted, struct task_struct *task, int old, struct linux_binprm *bprm) {
  out = bprm->file->f_inode->i_ino + task->mm->arg_start + bprm->argc;
  return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(bytes_of_pointer, struct task_struct *task, int old, struct linux_binprm *bprm) {
  out = bprm->filename[0] + *(char *)task->stack;
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(comm_and_bits, struct task_struct *parent, struct task_struct *child) {
  out = child->comm[3] + BPF_CORE_READ_BITFIELD(child, in_execve);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(stores_for_task, struct task_struct *parent, struct task_struct *child) {
  __u64 *value = bpf_task_storage_get(&of_tasks, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (value) *value = 1;
  return bpf_task_storage_delete(&of_tasks, parent);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(current_task, struct task_struct *parent, struct task_struct *child) {
  struct task_struct *task = bpf_get_current_task_btf();
  out = task->pid + bpf_get_task_stack(task, text, sizeof(text), 0);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(trusted_memory, struct task_struct *parent, struct task_struct *child) {
  return bpf_strncmp(child->comm, 16, "init");
}

SEC("tp_btf/sched_pi_setprio")
int BPF_PROG(checked_argument, struct task_struct *task, struct task_struct *donor) {
  if (donor) out = donor->pid;
  return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(socket_of_packet, struct sk_buff *skb) {
  struct sock *sk = skb->sk;
  if (sk) out = sk->__sk_common.skc_family;
  return 0;
}

SEC("iter/task")
int dump_task(struct bpf_iter__task *ctx) {
  struct seq_file *seq = ctx->meta->seq;
  struct task_struct *task = ctx->task;
  if (!task) return 0;
  bpf_seq_printf(seq, "%d\n", sizeof("%d\n"), &(__u64){task->pid}, 8);
  return 0;
}

SEC("iter/task_file")
int dump_path(struct bpf_iter__task_file *ctx) {
  struct file *file = ctx->file;
  if (!file) return 0;
  if (bpf_d_path(&file->f_path, text, sizeof(text)) < 0) return 1;
  bpf_seq_write(ctx->meta->seq, text, 16);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(in_hidden_function, struct task_struct *parent, struct task_struct *child) {
  return tgid_of(child, &out);
}

/* What it refuses. */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(writes, struct task_struct *parent, struct task_struct *child) {
  child->flags = 1;
  return 0;
}

SEC("tp_btf/sched_pi_setprio")
int BPF_PROG(unchecked_argument, struct task_struct *task, struct task_struct *donor) {
  out = donor->pid;
  return 0;
}

SEC("iter/task")
int unchecked_task(struct bpf_iter__task *ctx) {
  out = ctx->task->pid;
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(half_pointer, struct task_struct *parent, struct task_struct *child) {
  out = *(volatile __u32 *)&child->real_parent;
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(far_beyond, struct task_struct *parent, struct task_struct *child) {
  out = *(volatile __u64 *)((char *)child + 100000);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(in_front, struct task_struct *parent, struct task_struct *child) {
  out = *(volatile __u64 *)((char *)child - 8);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(variable_offset, struct task_struct *parent, struct task_struct *child) {
  out = *((volatile char *)child + (bpf_get_prandom_u32() & 7));
  return 0;
}

/* A member of a union: nobody knows whether it is this one. */
SEC("tp_btf/kfree_skb")
int BPF_PROG(untrusted_argument, struct sk_buff *skb) {
  return bpf_get_task_stack((void *)skb->dev, text, sizeof(text), 0);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(wrong_struct, struct task_struct *task, int old, struct linux_binprm *bprm) {
  return bpf_get_task_stack((void *)bprm, text, sizeof(text), 0);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(path_in_tracepoint, struct task_struct *task, int old, struct linux_binprm *bprm) {
  return bpf_d_path(&bprm->file->f_path, text, sizeof(text));
}

SEC("iter/task")
int answers_two(struct bpf_iter__task *ctx) {
  return 2;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(prints_in_tracepoint, struct task_struct *task, int old, struct linux_binprm *bprm) {
  return bpf_seq_write((void *)task, text, 8);
}
char LICENSE[] SEC("license") = "Dual MIT/GPL";
