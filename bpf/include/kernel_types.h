/* SPDX-License-Identifier: MIT */
/*
 * The types that BPF programs of this project need, in place of a generated vmlinux.h: kernel structs list the members that are
 * read, and nothing else; CO-RE finds where they lie in the kernel that runs.
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef signed short __s16;
typedef unsigned int __u32;
typedef signed int __s32;
typedef unsigned long long __u64;
typedef signed long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

typedef __u8 u8;
typedef __s8 s8;
typedef __u16 u16;
typedef __s16 s16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

/* include/uapi/linux/bpf.h: the numbers are Linux's ABI. */
enum {
  BPF_MAP_TYPE_HASH = 1,
  BPF_MAP_TYPE_ARRAY = 2,
  BPF_MAP_TYPE_PROG_ARRAY = 3,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4,
  BPF_MAP_TYPE_PERCPU_HASH = 5,
  BPF_MAP_TYPE_PERCPU_ARRAY = 6,
  BPF_MAP_TYPE_LRU_HASH = 9,
  BPF_MAP_TYPE_RINGBUF = 27,
  BPF_MAP_TYPE_USER_RINGBUF = 31,
};

enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum { BPF_F_MMAPABLE = 1024 };
#define BPF_F_CURRENT_CPU 0xffffffffULL
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };

#define TASK_COMM_LEN 16

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
  int counter;
} atomic_t;

typedef struct {
  u32 val;
} kuid_t;

typedef struct {
  u32 val;
} kgid_t;

struct cred {
  kuid_t uid;
  kgid_t gid;
};

struct mm_struct {
  unsigned long arg_start;
  unsigned long arg_end;
};

struct signal_struct {
  atomic_t live;
  int group_exit_code;
  unsigned int flags;
};

struct task_struct {
  int pid;
  int tgid;
  int exit_code;
  u64 start_time;
  struct task_struct *real_parent;
  struct task_struct *group_leader;
  const struct cred *real_cred;
  struct mm_struct *mm;
  struct signal_struct *signal;
  char comm[TASK_COMM_LEN];
};

struct linux_binprm {
  const char *filename;
};

#pragma clang attribute pop

#endif
