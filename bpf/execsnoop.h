/* SPDX-License-Identifier: MIT */
/* What execsnoop.bpf.c sends. User space learns it from BTF. */
#ifndef EXECSNOOP_H
#define EXECSNOOP_H

#define FILENAME_LEN 128
#define ARGS_LEN 128

enum event_kind {
  EVENT_FORK = 1,
  EVENT_EXEC = 2,
  EVENT_EXIT = 3,
};

struct event {
  u64 time_ns;     /* CLOCK_MONOTONIC */
  u64 duration_ns; /* exit: since the fork; 0 for the other kinds */
  u32 kind;        /* enum event_kind */
  u32 pid;         /* of the process: the kernel's tgid */
  u32 ppid;
  u32 uid;
  u32 exit_code;   /* exit: as waitpid() reports it: code << 8 | signal */
  u16 filename_len; /* exec: bytes of filename, without the NUL */
  u16 args_len;     /* exec: bytes of args; arguments end with a NUL each */
  char comm[TASK_COMM_LEN];
  char filename[FILENAME_LEN];
  u8 args[ARGS_LEN];
};

#endif
