/**
 * Members of kernel structs that tests make up, beyond those that a program's own type information lists.
 *
 * Source: include/linux/binfmts.h, pid.h, signal_types.h and uapi/asm-generic/siginfo.h, Linux 5.8 to 6.18.
 */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  linux_binprm: [
    'vma', 'vma_pages', 'argmin', 'mm', 'p', 'have_execfd', 'execfd_creds', 'secureexec', 'point_of_no_return', 'comm_from_dentry',
    'is_check', 'executable', 'interpreter', 'file', 'cred', 'unsafe', 'per_clear', 'argc', 'envc', 'filename', 'interp', 'fdpath',
    'interp_flags', 'execfd', 'loader', 'exec', 'rlim_stack', 'buf',
  ],
  pid: ['count', 'level', 'lock', 'stashed', 'ino', 'rb_node', 'tasks', 'inodes', 'wait_pidfd', 'rcu', 'numbers'],
  kernel_siginfo: ['si_signo', 'si_errno', 'si_code', '_sifields'],
  k_sigaction: ['sa', 'ka_restorer'],
} // prettier-ignore

/** Whether a struct of some Linux is known to have a member: a target that lacks it is of another version, or lists what it needs. */
export function isStructMember(struct: string, member: string): boolean {
  return Object.hasOwn(MEMBERS, struct) && (MEMBERS[struct]?.includes(member) ?? false)
}
