/**
 * What must be so on a machine, beside versions, options and capabilities, for something to load or attach.
 *
 * Source: man pages perf_event_open(2), kernel_lockdown(7) and proc_sys_kernel(5); Documentation/admin-guide/sysctl/kernel.rst; and what
 * Linux 5.10 to 7.2 did, see test/native/conditions.test.ts.
 */

export type ConditionName =
  | 'perf events'
  | 'tracefs'
  | 'cgroup2'
  | 'bpf module'
  | 'kprobes unlocked'
  | 'kernel memory unlocked'
  | 'user memory unlocked'
  | 'kernel addresses'
  | 'pin folder'

/**
 * The level of the sysctl kernel.perf_event_paranoid from which on perf_event_open() takes CAP_SYS_ADMIN, whatever else a process holds. Linux
 * itself knows levels up to 2; Debian's kernels and Ubuntu's have this one, by default.
 */
export const PARANOID = 3

/** As people say it. */
export const CONDITION_TEXTS: Readonly<Record<ConditionName, string>> = {
  'perf events': 'perf_event_open() is allowed to processes with CAP_PERFMON',
  tracefs: 'tracefs is mounted, and this user may read it',
  cgroup2: 'a cgroup2 file system is mounted',
  'bpf module': 'bpf is among the active security modules',
  'kprobes unlocked': 'kernel lockdown allows kprobes',
  'kernel memory unlocked': 'kernel lockdown allows programs to read the memory of the kernel',
  'user memory unlocked': 'kernel lockdown allows programs to write to the memory of processes',
  'kernel addresses': "this process sees the addresses of the kernel's symbols in /proc/kallsyms",
  'pin folder': 'a bpf file system is mounted at /sys/fs/bpf, and this user may write to it',
}
