/**
 * Where in the kernel programs may be attached by BTF: security hooks and functions, and what holds there.
 *
 * Source: the kernel's documentation of BPF LSM programs, and what Linux 6.12 to 6.18 answer.
 */

/** Security hooks whose arguments aren't trusted: the objects are being made, or torn down. */
export const UNTRUSTED_HOOKS: ReadonlySet<string> = new Set([
  'bpf_map_free',
  'bpf_prog_free',
  'file_alloc_security',
  'file_free_security',
  'sk_alloc_security',
  'sk_free_security',
  'task_free',
])

/** Security hooks that programs can't have. */
export const DISABLED_HOOKS: ReadonlySet<string> = new Set([
  'vm_enough_memory',
  'inode_need_killpriv',
  'inode_getsecurity',
  'inode_listsecurity',
  'inode_copy_up_xattr',
  'getselfattr',
  'getprocattr',
  'setprocattr',
  'key_getsecurity',
  'audit_rule_match',
  'ismaclabel',
  'file_alloc_security',
])

/** Security hooks that answer yes or no; all others, 0 or a negative error. */
export const BOOL_HOOKS: ReadonlySet<string> = new Set(['audit_rule_known', 'inode_xattr_skipcap'])

/** Security hooks in which programs may sleep. */
export const SLEEPABLE_HOOKS: ReadonlySet<string> = new Set(
  `
  bpf bpf_map bpf_map_create bpf_map_free bpf_prog bpf_prog_load bpf_prog_free bpf_token_create
  bpf_token_free bpf_token_cmd bpf_token_capable bprm_check_security bprm_committed_creds
  bprm_committing_creds bprm_creds_for_exec bprm_creds_from_file capget capset cred_prepare file_ioctl
  file_lock file_open file_post_open file_receive inode_create inode_free_security inode_getattr
  inode_getxattr inode_mknod inode_need_killpriv inode_post_setxattr inode_post_removexattr inode_readlink
  inode_removexattr inode_rename inode_rmdir inode_setattr inode_setxattr inode_symlink inode_unlink
  kernel_module_request kernel_read_file kernfs_init_security path_unlink path_mkdir path_rmdir
  path_truncate path_symlink path_link path_rename path_chmod path_chown mmap_file netlink_send path_notify
  release_secctx sb_alloc_security sb_eat_lsm_opts sb_kern_mount sb_mount sb_remount sb_set_mnt_opts
  sb_show_options sb_statfs sb_umount settime inet_conn_established socket_accept socket_bind
  socket_connect socket_create socket_getpeername socket_getpeersec_dgram socket_getsockname
  socket_getsockopt socket_listen socket_post_create socket_recvmsg socket_sendmsg socket_shutdown
  socket_socketpair syslog task_alloc task_prctl task_setscheduler task_to_inode userns_create
  `
    .trim()
    .split(/\s+/),
)

/** Functions that trampolines of tracing programs need themselves. */
export const UNTRACEABLE_FUNCTIONS: ReadonlySet<string> = new Set([
  'migrate_disable',
  'migrate_enable',
  'rcu_read_unlock_strict',
  'preempt_count_add',
  'preempt_count_sub',
  '__rcu_read_lock',
  '__rcu_read_unlock',
])

/** Functions that never return: nothing runs behind them. */
export const ENDLESS_FUNCTIONS: ReadonlySet<string> = new Set([
  '__ia32_sys_exit',
  '__ia32_sys_exit_group',
  '__x64_sys_exit',
  '__x64_sys_exit_group',
  'do_exit',
  'do_group_exit',
  'kthread_complete_and_exit',
  'make_task_dead',
])

/** A function of kernels that can inject errors: CONFIG_FUNCTION_ERROR_INJECTION. */
export const ERROR_INJECTION = 'within_error_injection_list'

/** System calls by the machines that wrap them: errors may be injected into those that a kernel has. */
export const SYSTEM_CALL = /^__(?:x64|ia32|ia32_compat|arm64)_sys_/
/** What system calls name their argument. Those without arguments don't use it, nor do the stubs of those that a kernel lacks. */
export const SYSTEM_CALL_ARGUMENT = 'regs'

/** Functions into which errors may be injected, but in which nothing sleeps. */
export const NEVER_SLEEPING: ReadonlySet<string> = new Set([
  '__filemap_add_folio',
  'should_fail_alloc_page',
  'should_failslab',
])

/** A function whose result programs change wherever errors can't be injected, too. */
export interface ModifiableFunction {
  /** Programs may sleep in it. */
  readonly sleeps: boolean
  /** A function of the part of the kernel that allows it. */
  readonly where: string
}

const TESTED = 'bpf_prog_test_run_tracing'
export const MODIFIABLE_FUNCTIONS: ReadonlyMap<string, ModifiableFunction> = new Map([
  ['bpf_fentry_test1', { sleeps: true, where: TESTED }],
  ['bpf_modify_return_test', { sleeps: false, where: TESTED }],
  ['bpf_modify_return_test2', { sleeps: false, where: TESTED }],
  ['bpf_modify_return_test_tp', { sleeps: false, where: TESTED }],
  ['update_socket_protocol', { sleeps: false, where: 'bpf_mptcp_sock_from_subflow' }],
])

/** How functions begin that ask security modules: programs may change the results of all of them. */
export const SECURITY_HOOK = 'security_'

/** Functions in whose programs bpf_d_path() is safe. */
export const D_PATH_FUNCTIONS: ReadonlySet<string> = new Set([
  'security_file_permission',
  'security_inode_getattr',
  'security_file_open',
  'security_path_truncate',
  'vfs_truncate',
  'vfs_fallocate',
  'dentry_open',
  'vfs_getattr',
  'filp_close',
])
