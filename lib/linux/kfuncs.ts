/**
 * Functions of the kernel that programs may call (kfuncs): prototypes, what the verifier must know of them, and which program types have them.
 *
 * Source: the prototypes of Linux 6.18's BTF, and what that kernel answers to calls by each program type; flags as the kernel's documentation of
 * kfuncs names them.
 */
import { BPF_PROG_TYPE as P } from './program-types.js'

/** How a function treats what it takes and gives, beside the suffixes of its parameters' names. */
export interface KfuncFlags {
  /** KF_ACQUIRE: what it returns must be released. */
  readonly acquire: boolean
  /** KF_RELEASE: it releases an argument. */
  readonly release: boolean
  /** KF_RET_NULL: it may return null. */
  readonly null: boolean
  /** KF_TRUSTED_ARGS: pointers must surely be to living objects, and aren't null. */
  readonly trusted: boolean
  /** KF_RCU: the same, or objects that RCU protects. */
  readonly rcu: boolean
  /** KF_RCU_PROTECTED: it is called in sections of RCU only. */
  readonly protected: boolean
  /** KF_SLEEPABLE. */
  readonly sleepable: boolean
}

export interface KfuncParameter {
  /** With its suffix: `ptr__uninit`. */
  readonly name: string
  /** `u64`, `struct task_struct`, `void`: what it is, or points to. `callback`: a function of the program. */
  readonly type: string
  /** How often it is a pointer. */
  readonly pointers: number
}

export interface Kfunc {
  readonly name: string
  readonly params: readonly KfuncParameter[]
  readonly returns: { readonly type: string; readonly pointers: number }
  readonly flags: KfuncFlags
  /** BPF_PROG_TYPE_* that have it; undefined: all. */
  readonly programTypes: readonly number[] | undefined
}

const TRACING = [P.TRACING, P.TRACEPOINT, P.PERF_EVENT, P.LSM]
const CGROUP = [
  P.CGROUP_SKB,
  P.CGROUP_SOCK,
  P.CGROUP_DEVICE,
  P.CGROUP_SOCK_ADDR,
  P.CGROUP_SOCKOPT,
  P.CGROUP_SYSCTL,
  P.SOCK_OPS,
]
const LWT = [P.LWT_IN, P.LWT_OUT, P.LWT_XMIT, P.LWT_SEG6LOCAL]
const GENERIC = [P.XDP, P.SCHED_CLS, P.STRUCT_OPS, P.SYSCALL, ...TRACING, ...CGROUP]
const TRACING_AND_CALLS = [P.STRUCT_OPS, P.SYSCALL, ...TRACING]
const ALL = undefined

type Row = readonly [prototype: string, flags?: string]

const TABLE: readonly (readonly [programTypes: readonly number[] | undefined, rows: readonly Row[]])[] = [
  [
    ALL,
    [
      ['void __bpf_trap()'],
      [
        'void *bpf_arena_alloc_pages(void *p__map, void *addr__ign, u32 page_cnt, int node_id, u64 flags)',
        'trusted sleepable',
      ],
      ['void bpf_arena_free_pages(void *p__map, void *ptr__ign, u32 page_cnt)', 'trusted sleepable'],
      ['int bpf_arena_reserve_pages(void *p__map, void *ptr__ign, u32 page_cnt)', 'trusted sleepable'],
      ['void *bpf_cast_to_kern_ctx(void *obj)'],
      [
        'int bpf_cgroup_read_xattr(struct cgroup *cgroup, char *name__str, struct bpf_dynptr *value_p)',
        'rcu',
      ],
      [
        'int bpf_copy_from_user_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, void *unsafe_ptr__ign)',
        'sleepable',
      ],
      ['int bpf_copy_from_user_str(void *dst, u32 dst__sz, void *unsafe_ptr__ign, u64 flags)', 'sleepable'],
      [
        'int bpf_copy_from_user_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, void *unsafe_ptr__ign)',
        'sleepable',
      ],
      [
        'int bpf_copy_from_user_task_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, void *unsafe_ptr__ign, struct task_struct *tsk)',
        'trusted sleepable',
      ],
      [
        'int bpf_copy_from_user_task_str(void *dst, u32 dst__sz, void *unsafe_ptr__ign, struct task_struct *tsk, u64 flags)',
        'sleepable',
      ],
      [
        'int bpf_copy_from_user_task_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, void *unsafe_ptr__ign, struct task_struct *tsk)',
        'trusted sleepable',
      ],
      ['int bpf_dynptr_adjust(struct bpf_dynptr *p, u32 start, u32 end)'],
      ['int bpf_dynptr_clone(struct bpf_dynptr *p, struct bpf_dynptr *clone__uninit)'],
      [
        'int bpf_dynptr_copy(struct bpf_dynptr *dst_ptr, u32 dst_off, struct bpf_dynptr *src_ptr, u32 src_off, u32 size)',
      ],
      ['bool bpf_dynptr_is_null(struct bpf_dynptr *p)'],
      ['bool bpf_dynptr_is_rdonly(struct bpf_dynptr *p)'],
      ['int bpf_dynptr_memset(struct bpf_dynptr *p, u32 offset, u32 size, u8 val)'],
      ['__u32 bpf_dynptr_size(struct bpf_dynptr *p)'],
      [
        'void *bpf_dynptr_slice(struct bpf_dynptr *p, u32 offset, void *buffer__opt, u32 buffer__szk)',
        'null',
      ],
      [
        'void *bpf_dynptr_slice_rdwr(struct bpf_dynptr *p, u32 offset, void *buffer__opt, u32 buffer__szk)',
        'null',
      ],
      ['struct kmem_cache *bpf_get_kmem_cache(u64 addr)', 'null'],
      ['void bpf_iter_bits_destroy(struct bpf_iter_bits *it)'],
      ['int bpf_iter_bits_new(struct bpf_iter_bits *it, u64 *unsafe_ptr__ign, u32 nr_words)'],
      ['int *bpf_iter_bits_next(struct bpf_iter_bits *it)', 'null'],
      ['void bpf_iter_css_destroy(struct bpf_iter_css *it)'],
      [
        'int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start, unsigned int flags)',
        'trusted protected',
      ],
      ['struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it)', 'null'],
      ['void bpf_iter_css_task_destroy(struct bpf_iter_css_task *it)'],
      [
        'int bpf_iter_css_task_new(struct bpf_iter_css_task *it, struct cgroup_subsys_state *css, unsigned int flags)',
        'trusted',
      ],
      ['struct task_struct *bpf_iter_css_task_next(struct bpf_iter_css_task *it)', 'null'],
      ['void bpf_iter_dmabuf_destroy(struct bpf_iter_dmabuf *it)', 'sleepable'],
      ['int bpf_iter_dmabuf_new(struct bpf_iter_dmabuf *it)', 'sleepable'],
      ['struct dma_buf *bpf_iter_dmabuf_next(struct bpf_iter_dmabuf *it)', 'null sleepable'],
      ['void bpf_iter_kmem_cache_destroy(struct bpf_iter_kmem_cache *it)', 'sleepable'],
      ['int bpf_iter_kmem_cache_new(struct bpf_iter_kmem_cache *it)', 'sleepable'],
      ['struct kmem_cache *bpf_iter_kmem_cache_next(struct bpf_iter_kmem_cache *it)', 'null sleepable'],
      ['void bpf_iter_num_destroy(struct bpf_iter_num *it)'],
      ['int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)'],
      ['int *bpf_iter_num_next(struct bpf_iter_num *it)', 'null'],
      ['void bpf_iter_task_destroy(struct bpf_iter_task *it)'],
      [
        'int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task__nullable, unsigned int flags)',
        'trusted protected',
      ],
      ['struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it)', 'null'],
      ['void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it)'],
      ['int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, u64 addr)', 'rcu'],
      ['struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it)', 'null'],
      ['void bpf_local_irq_restore(unsigned long *flags__irq_flag)'],
      ['void bpf_local_irq_save(unsigned long *flags__irq_flag)'],
      ['s64 bpf_map_sum_elem_count(struct bpf_map *map)', 'trusted'],
      ['int bpf_modify_return_test_tp(int nonce)'],
      ['void bpf_preempt_disable()'],
      ['void bpf_preempt_enable()'],
      ['int bpf_probe_read_kernel_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, void *unsafe_ptr__ign)'],
      [
        'int bpf_probe_read_kernel_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, void *unsafe_ptr__ign)',
      ],
      ['int bpf_probe_read_user_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, void *unsafe_ptr__ign)'],
      [
        'int bpf_probe_read_user_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, void *unsafe_ptr__ign)',
      ],
      ['void bpf_rcu_read_lock()'],
      ['void bpf_rcu_read_unlock()'],
      ['void *bpf_rdonly_cast(void *obj__ign, u32 btf_id__k)'],
      ['int bpf_res_spin_lock(struct bpf_res_spin_lock *lock)', 'null'],
      [
        'int bpf_res_spin_lock_irqsave(struct bpf_res_spin_lock *lock, unsigned long *flags__irq_flag)',
        'null',
      ],
      ['void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock)'],
      ['void bpf_res_spin_unlock_irqrestore(struct bpf_res_spin_lock *lock, unsigned long *flags__irq_flag)'],
      ['int bpf_strcasecmp(char *s1__ign, char *s2__ign)'],
      ['int bpf_strchr(char *s__ign, char c)'],
      ['int bpf_strchrnul(char *s__ign, char c)'],
      ['int bpf_strcmp(char *s1__ign, char *s2__ign)'],
      ['int bpf_strcspn(char *s__ign, char *reject__ign)'],
      [
        'int bpf_stream_vprintk_impl(int stream_id, char *fmt__str, void *args, u32 len__sz, void *aux__prog)',
        'trusted',
      ],
      ['int bpf_strlen(char *s__ign)'],
      ['int bpf_strnchr(char *s__ign, size_t count, char c)'],
      ['int bpf_strnlen(char *s__ign, size_t count)'],
      ['int bpf_strnstr(char *s1__ign, char *s2__ign, size_t len)'],
      ['int bpf_strrchr(char *s__ign, int c)'],
      ['int bpf_strspn(char *s__ign, char *accept__ign)'],
      ['int bpf_strstr(char *s1__ign, char *s2__ign)'],
      [
        'int bpf_task_work_schedule_resume_impl(struct task_struct *task, struct bpf_task_work *tw, void *map__map, callback *callback, void *aux__prog)',
        'trusted',
      ],
      [
        'int bpf_task_work_schedule_signal_impl(struct task_struct *task, struct bpf_task_work *tw, void *map__map, callback *callback, void *aux__prog)',
        'trusted',
      ],
      ['int bpf_wq_init(struct bpf_wq *wq, void *p__map, unsigned int flags)'],
      [
        'int bpf_wq_set_callback_impl(struct bpf_wq *wq, callback *callback_fn, unsigned int flags, void *aux__prog)',
      ],
      ['int bpf_wq_start(struct bpf_wq *wq, unsigned int flags)'],
      [
        'int bpf_xdp_metadata_rx_hash(struct xdp_md *ctx, u32 *hash, enum xdp_rss_hash_type *rss_type)',
        'trusted',
      ],
      ['int bpf_xdp_metadata_rx_timestamp(struct xdp_md *ctx, u64 *timestamp)', 'trusted'],
      ['int bpf_xdp_metadata_rx_vlan_tag(struct xdp_md *ctx, __be16 *vlan_proto, u16 *vlan_tci)', 'trusted'],
    ],
  ],
  [
    [P.STRUCT_OPS],
    [
      ['void bbr_cwnd_event(struct sock *sk, enum tcp_ca_event event)'],
      ['void bbr_init(struct sock *sk)'],
      ['void bbr_main(struct sock *sk, u32 ack, int flag, struct rate_sample *rs)'],
      ['u32 bbr_min_tso_segs(struct sock *sk)'],
      ['void bbr_set_state(struct sock *sk, u8 new_state)'],
      ['u32 bbr_sndbuf_expand(struct sock *sk)'],
      ['u32 bbr_ssthresh(struct sock *sk)'],
      ['u32 bbr_undo_cwnd(struct sock *sk)'],
      ['void cubictcp_acked(struct sock *sk, struct ack_sample *sample)'],
      ['void cubictcp_cong_avoid(struct sock *sk, u32 ack, u32 acked)'],
      ['void cubictcp_cwnd_event(struct sock *sk, enum tcp_ca_event event)'],
      ['void cubictcp_init(struct sock *sk)'],
      ['u32 cubictcp_recalc_ssthresh(struct sock *sk)'],
      ['void cubictcp_state(struct sock *sk, u8 new_state)'],
      ['void tcp_cong_avoid_ai(struct tcp_sock *tp, u32 w, u32 acked)'],
      ['void tcp_reno_cong_avoid(struct sock *sk, u32 ack, u32 acked)'],
      ['u32 tcp_reno_ssthresh(struct sock *sk)'],
      ['u32 tcp_reno_undo_cwnd(struct sock *sk)'],
      ['u32 tcp_slow_start(struct tcp_sock *tp, u32 acked)'],
    ],
  ],
  [
    GENERIC,
    [
      ['struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp)', 'acquire rcu null'],
      ['struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level)', 'acquire rcu null'],
      ['struct cgroup *bpf_cgroup_from_id(u64 cgid)', 'acquire null'],
      ['void bpf_cgroup_release(struct cgroup *cgrp)', 'release'],
      ['void bpf_key_put(struct bpf_key *bkey)', 'release'],
      ['struct bpf_list_node *bpf_list_back(struct bpf_list_head *head)', 'null'],
      ['struct bpf_list_node *bpf_list_front(struct bpf_list_head *head)', 'null'],
      ['struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *head)', 'acquire null'],
      ['struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head)', 'acquire null'],
      [
        'int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta__ign, u64 off)',
      ],
      [
        'int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta__ign, u64 off)',
      ],
      ['struct bpf_key *bpf_lookup_system_key(u64 id)', 'acquire null'],
      ['struct bpf_key *bpf_lookup_user_key(s32 serial, u64 flags)', 'acquire null sleepable'],
      ['void bpf_obj_drop_impl(void *p__alloc, void *meta__ign)', 'release'],
      ['void *bpf_obj_new_impl(u64 local_type_id__k, void *meta__ign)', 'acquire null'],
      ['void bpf_percpu_obj_drop_impl(void *p__alloc, void *meta__ign)', 'release'],
      ['void *bpf_percpu_obj_new_impl(u64 local_type_id__k, void *meta__ign)', 'acquire null'],
      [
        'int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node, callback *less, void *meta__ign, u64 off)',
      ],
      ['struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root)', 'null'],
      ['struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *root, struct bpf_rb_node *node)', 'null'],
      [
        'struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node)',
        'acquire null',
      ],
      ['struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *root, struct bpf_rb_node *node)', 'null'],
      ['struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *root)', 'null'],
      ['void *bpf_refcount_acquire_impl(void *p__refcounted_kptr, void *meta__ign)', 'acquire rcu null'],
      [
        'int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type, u64 value)',
        'trusted',
      ],
      ['struct task_struct *bpf_task_acquire(struct task_struct *p)', 'acquire rcu null'],
      ['struct task_struct *bpf_task_from_pid(s32 pid)', 'acquire null'],
      ['struct task_struct *bpf_task_from_vpid(s32 vpid)', 'acquire null'],
      ['struct cgroup *bpf_task_get_cgroup1(struct task_struct *task, int hierarchy_id)', 'acquire rcu null'],
      ['void bpf_task_release(struct task_struct *p)', 'release'],
      ['long bpf_task_under_cgroup(struct task_struct *task, struct cgroup *ancestor)', 'rcu'],
      ['void bpf_throw(u64 cookie)'],
    ],
  ],
  [
    TRACING_AND_CALLS,
    [
      ['struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *cpumask)', 'acquire trusted'],
      ['bool bpf_cpumask_and(struct bpf_cpumask *dst, struct cpumask *src1, struct cpumask *src2)', 'rcu'],
      ['u32 bpf_cpumask_any_and_distribute(struct cpumask *src1, struct cpumask *src2)', 'rcu'],
      ['u32 bpf_cpumask_any_distribute(struct cpumask *cpumask)', 'rcu'],
      ['void bpf_cpumask_clear(struct bpf_cpumask *cpumask)', 'rcu'],
      ['void bpf_cpumask_clear_cpu(u32 cpu, struct bpf_cpumask *cpumask)', 'rcu'],
      ['void bpf_cpumask_copy(struct bpf_cpumask *dst, struct cpumask *src)', 'rcu'],
      ['struct bpf_cpumask *bpf_cpumask_create()', 'acquire null'],
      ['bool bpf_cpumask_empty(struct cpumask *cpumask)', 'rcu'],
      ['bool bpf_cpumask_equal(struct cpumask *src1, struct cpumask *src2)', 'rcu'],
      ['u32 bpf_cpumask_first(struct cpumask *cpumask)', 'rcu'],
      ['u32 bpf_cpumask_first_and(struct cpumask *src1, struct cpumask *src2)', 'rcu'],
      ['u32 bpf_cpumask_first_zero(struct cpumask *cpumask)', 'rcu'],
      ['bool bpf_cpumask_full(struct cpumask *cpumask)', 'rcu'],
      ['bool bpf_cpumask_intersects(struct cpumask *src1, struct cpumask *src2)', 'rcu'],
      ['void bpf_cpumask_or(struct bpf_cpumask *dst, struct cpumask *src1, struct cpumask *src2)', 'rcu'],
      ['int bpf_cpumask_populate(struct cpumask *cpumask, void *src, size_t src__sz)', 'rcu'],
      ['void bpf_cpumask_release(struct bpf_cpumask *cpumask)', 'release'],
      ['void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *cpumask)', 'rcu'],
      ['void bpf_cpumask_setall(struct bpf_cpumask *cpumask)', 'rcu'],
      ['bool bpf_cpumask_subset(struct cpumask *src1, struct cpumask *src2)', 'rcu'],
      ['bool bpf_cpumask_test_and_clear_cpu(u32 cpu, struct bpf_cpumask *cpumask)', 'rcu'],
      ['bool bpf_cpumask_test_and_set_cpu(u32 cpu, struct bpf_cpumask *cpumask)', 'rcu'],
      ['bool bpf_cpumask_test_cpu(u32 cpu, struct cpumask *cpumask)', 'rcu'],
      ['u32 bpf_cpumask_weight(struct cpumask *cpumask)', 'rcu'],
      ['void bpf_cpumask_xor(struct bpf_cpumask *dst, struct cpumask *src1, struct cpumask *src2)', 'rcu'],
    ],
  ],
  [
    [P.SYSCALL],
    [
      ['struct bpf_crypto_ctx *bpf_crypto_ctx_acquire(struct bpf_crypto_ctx *ctx)', 'acquire rcu null'],
      [
        'struct bpf_crypto_ctx *bpf_crypto_ctx_create(struct bpf_crypto_params *params, u32 params__sz, int *err)',
        'acquire null sleepable',
      ],
      ['void bpf_crypto_ctx_release(struct bpf_crypto_ctx *ctx)', 'release'],
    ],
  ],
  [
    [P.XDP, P.SCHED_CLS, P.SCHED_ACT],
    [
      [
        'int bpf_crypto_decrypt(struct bpf_crypto_ctx *ctx, struct bpf_dynptr *src, struct bpf_dynptr *dst, struct bpf_dynptr *siv__nullable)',
        'rcu',
      ],
      [
        'int bpf_crypto_encrypt(struct bpf_crypto_ctx *ctx, struct bpf_dynptr *src, struct bpf_dynptr *dst, struct bpf_dynptr *siv__nullable)',
        'rcu',
      ],
    ],
  ],
  [
    [P.XDP, P.SCHED_CLS],
    [
      ['int bpf_ct_change_status(struct nf_conn *nfct, u32 status)', 'trusted'],
      ['int bpf_ct_change_timeout(struct nf_conn *nfct, u32 timeout)', 'trusted'],
      ['struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *nfct_i)', 'acquire null release'],
      ['void bpf_ct_release(struct nf_conn *nfct)', 'release'],
      [
        'int bpf_ct_set_nat_info(struct nf_conn___init *nfct, union nf_inet_addr *addr, int port, enum nf_nat_manip_type manip)',
        'trusted',
      ],
      ['int bpf_ct_set_status(struct nf_conn___init *nfct, u32 status)', 'trusted'],
      ['void bpf_ct_set_timeout(struct nf_conn___init *nfct, u32 timeout)', 'trusted'],
      [
        'struct nf_conn___init *bpf_skb_ct_alloc(struct __sk_buff *skb_ctx, struct bpf_sock_tuple *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz)',
        'acquire null',
      ],
      [
        'struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb_ctx, struct bpf_sock_tuple *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz)',
        'acquire null',
      ],
      [
        'struct nf_conn___init *bpf_xdp_ct_alloc(struct xdp_md *xdp_ctx, struct bpf_sock_tuple *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz)',
        'acquire null',
      ],
      [
        'struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *xdp_ctx, struct bpf_sock_tuple *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz)',
        'acquire null',
      ],
    ],
  ],
  [
    [P.SCHED_CLS, P.SOCKET_FILTER, P.SCHED_ACT, P.SK_SKB, P.NETFILTER, ...CGROUP, ...LWT, ...TRACING],
    [['int bpf_dynptr_from_skb(struct __sk_buff *s, u64 flags, struct bpf_dynptr *ptr__uninit)', 'trusted']],
  ],
  [
    [P.SCHED_CLS, P.SCHED_ACT],
    [
      [
        'int bpf_dynptr_from_skb_meta(struct __sk_buff *skb_, u64 flags, struct bpf_dynptr *ptr__uninit)',
        'trusted',
      ],
    ],
  ],
  [
    [P.XDP],
    [
      ['int bpf_dynptr_from_xdp(struct xdp_md *x, u64 flags, struct bpf_dynptr *ptr__uninit)'],
      [
        'struct xfrm_state *bpf_xdp_get_xfrm_state(struct xdp_md *ctx, struct bpf_xfrm_state_opts *opts, u32 opts__sz)',
        'acquire null',
      ],
      ['int bpf_xdp_pull_data(struct xdp_md *x, u32 len)'],
      ['void bpf_xdp_xfrm_state_release(struct xfrm_state *x)', 'release'],
    ],
  ],
  [
    [P.LSM],
    [
      [
        'int bpf_get_dentry_xattr(struct dentry *dentry, char *name__str, struct bpf_dynptr *value_p)',
        'trusted sleepable',
      ],
      [
        'int bpf_get_file_xattr(struct file *file, char *name__str, struct bpf_dynptr *value_p)',
        'trusted sleepable',
      ],
      ['struct file *bpf_get_task_exe_file(struct task_struct *task)', 'acquire trusted null'],
      ['int bpf_path_d_path(struct path *path, char *buf, size_t buf__sz)', 'trusted'],
      ['void bpf_put_file(struct file *file)', 'release'],
      ['int bpf_remove_dentry_xattr(struct dentry *dentry, char *name__str)', 'trusted sleepable'],
      [
        'int bpf_set_dentry_xattr(struct dentry *dentry, char *name__str, struct bpf_dynptr *value_p, int flags)',
        'trusted sleepable',
      ],
    ],
  ],
  [[P.KPROBE], [['__u64 *bpf_session_cookie()'], ['bool bpf_session_is_return()']]],
  [
    [P.SCHED_CLS, P.SYSCALL, ...TRACING],
    [
      ['void bpf_kfunc_call_memb_release(struct prog_test_member *p)', 'release'],
      ['void bpf_kfunc_call_test_release(struct prog_test_ref_kvoid *p)', 'release'],
    ],
  ],
  [
    [P.SCHED_CLS],
    [
      [
        'int bpf_sk_assign_tcp_reqsk(struct __sk_buff *s, struct sock *sk, struct bpf_tcp_req_attrs *attrs, int attrs__sz)',
        'trusted',
      ],
    ],
  ],
  [
    CGROUP,
    [
      ['int bpf_sock_addr_set_sun_path(struct bpf_sock_addr_kern *sa_kern, u8 *sun_path, u32 sun_path__sz)'],
      ['int bpf_sock_ops_enable_tx_tstamp(struct bpf_sock_ops_kern *skops, u64 flags)', 'trusted'],
    ],
  ],
  [TRACING, [['int bpf_sock_destroy(struct sock_common *sock)', 'trusted']]],
  [
    TRACING,
    [
      ['void css_rstat_flush(struct cgroup_subsys_state *css)', 'sleepable'],
      ['void css_rstat_updated(struct cgroup_subsys_state *css, int cpu)'],
    ],
  ],
]

/** The same for iterators, whose three functions go by names: KF_ITER_NEW, KF_ITER_NEXT, KF_ITER_DESTROY. */
export type IteratorPart = 'new' | 'next' | 'destroy'

const ITERATOR = /^bpf_iter_(\w+)_(new|next|destroy)$/

/** Which part of an open-coded iterator a function is; undefined: none. */
export function iteratorPart(
  name: string,
): { readonly iterator: string; readonly part: IteratorPart } | undefined {
  const match = ITERATOR.exec(name)
  // The pattern has both groups.
  return match === null ? undefined : { iterator: match[1] as string, part: match[2] as IteratorPart }
}

/** Bytes of iterators on the stack, where BTF doesn't tell. */
export const ITERATOR_SIZES: Readonly<Record<string, number>> = {
  num: 8,
  bits: 16,
  task: 24,
  css: 24,
  css_task: 8,
  task_vma: 8,
  kmem_cache: 8,
  dmabuf: 8,
}

let index: Map<string, { readonly types: readonly number[] | undefined; readonly row: Row }> | undefined
const parsed = new Map<string, Kfunc>()

const NAME = /(\w+)\(/

/** undefined: no function that is known by this name. */
export function kfuncNamed(name: string): Kfunc | undefined {
  const known = parsed.get(name)
  if (known !== undefined) return known
  if (index === undefined) {
    index = new Map()
    for (const [types, rows] of TABLE)
      for (const row of rows) index.set(NAME.exec(row[0])?.[1] ?? '', { types, row })
  }
  const found = index.get(name)
  if (found === undefined) return undefined
  const kfunc = parse(found.row, found.types)
  parsed.set(name, kfunc)
  return kfunc
}

const PROTOTYPE = /^(.*?)(\w+)\((.*)\)$/

function parse([prototype, flags = '']: Row, programTypes: readonly number[] | undefined): Kfunc {
  const [, returns = '', name = '', params = ''] = PROTOTYPE.exec(prototype) ?? []
  const has = (flag: string): boolean => flags.split(' ').includes(flag)
  return {
    name,
    params: params === '' ? [] : params.split(', ').map(parameter),
    returns: declared(returns),
    flags: {
      acquire: has('acquire'),
      release: has('release'),
      null: has('null'),
      trusted: has('trusted'),
      rcu: has('rcu'),
      protected: has('protected'),
      sleepable: has('sleepable'),
    },
    programTypes,
  }
}

function parameter(text: string): KfuncParameter {
  const [, type = '', name = ''] = /^(.*?)(\w+)$/.exec(text) ?? []
  return { name, ...declared(type) }
}

function declared(text: string): { readonly type: string; readonly pointers: number } {
  const type = text.replaceAll('*', '').trim()
  return { type, pointers: text.split('*').length - 1 }
}
