// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs that make objects of their own types, and keep them in lists and trees in global data: those that Linux takes, and those that it refuses. */
#include <linux/bpf.h>

#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Older libbpf has none of these. */
#define REFERENCED __attribute__((btf_type_tag("kptr")))
#define CONTAINS(element, node) __attribute__((btf_decl_tag("contains:" #element ":" #node)))
#define OWN(part) SEC(".data." #part) __attribute__((visibility("hidden"), aligned(8)))

struct bpf_list_head {
  __u64 opaque[2];
} __attribute__((aligned(8)));

struct bpf_list_node {
  __u64 opaque[3];
} __attribute__((aligned(8)));

struct bpf_rb_root {
  __u64 opaque[2];
} __attribute__((aligned(8)));

struct bpf_rb_node {
  __u64 opaque[4];
} __attribute__((aligned(8)));

struct bpf_refcount {
  __u32 opaque[1];
} __attribute__((aligned(4)));

extern void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *object, void *meta) __ksym;
extern void *bpf_refcount_acquire_impl(void *object, void *meta) __ksym;
extern int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, __u64 offset) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
                               bool (*less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta, __u64 offset) __ksym;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;

#define new_object(type) ((type *)bpf_obj_new_impl(bpf_core_type_id_local(type), NULL))
#define drop(object) bpf_obj_drop_impl(object, NULL)
#define owner_of(place, type, member) ((type *)((void *)(place)-__builtin_offsetof(type, member)))

struct wish {
  __u64 number;
  struct bpf_list_node link;
};

struct errand {
  struct bpf_rb_node branch;
  struct bpf_refcount refs;
  __u32 priority;
};

OWN(wishes) struct bpf_spin_lock wishes_lock;
OWN(wishes) struct bpf_list_head wishes CONTAINS(wish, link);
OWN(errands) struct bpf_spin_lock errands_lock;
OWN(errands) struct bpf_rb_root errands CONTAINS(errand, branch);

struct wish_slot {
  struct wish REFERENCED *wish;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, int);
  __type(value, struct wish_slot);
} kept SEC(".maps");

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b) {
  return owner_of(a, struct errand, branch)->priority < owner_of(b, struct errand, branch)->priority;
}

/* What Linux takes. */

SEC("tc")
int pushes(struct __sk_buff *skb) {
  struct wish *wish = new_object(struct wish);
  if (!wish) return 0;
  wish->number = skb->len;
  bpf_spin_lock(&wishes_lock);
  bpf_list_push_front_impl(&wishes, &wish->link, NULL, 0);
  wish->number++;
  bpf_spin_unlock(&wishes_lock);
  return 0;
}

SEC("tc")
int pops(struct __sk_buff *skb) {
  bpf_spin_lock(&wishes_lock);
  struct bpf_list_node *node = bpf_list_pop_front(&wishes);
  bpf_spin_unlock(&wishes_lock);
  if (!node) return 0;
  struct wish *wish = owner_of(node, struct wish, link);
  int number = wish->number;
  drop(wish);
  return number;
}

SEC("tc")
int drains(struct __sk_buff *skb) {
  int sum = 0;
  for (int i = 0; i < 10; i++) {
    bpf_spin_lock(&wishes_lock);
    struct bpf_list_node *node = bpf_list_pop_front(&wishes);
    bpf_spin_unlock(&wishes_lock);
    if (!node) break;
    struct wish *wish = owner_of(node, struct wish, link);
    sum += wish->number;
    drop(wish);
  }
  return sum;
}

SEC("tc")
int adds(struct __sk_buff *skb) {
  struct errand *errand = new_object(struct errand);
  if (!errand) return 0;
  struct errand *mine = bpf_refcount_acquire_impl(errand, NULL);
  errand->priority = skb->priority;
  bpf_spin_lock(&errands_lock);
  bpf_rbtree_add_impl(&errands, &errand->branch, less, NULL, 0);
  bpf_spin_unlock(&errands_lock);
  mine->priority++;
  drop(mine);
  return 0;
}

SEC("tc")
int removes(struct __sk_buff *skb) {
  int priority = 0;
  bpf_spin_lock(&errands_lock);
  struct bpf_rb_node *node = bpf_rbtree_first(&errands);
  if (node) node = bpf_rbtree_remove(&errands, node);
  bpf_spin_unlock(&errands_lock);
  if (!node) return 0;
  struct errand *errand = owner_of(node, struct errand, branch);
  priority = errand->priority;
  drop(errand);
  return priority;
}

SEC("tc")
int keeps(struct __sk_buff *skb) {
  int zero = 0;
  struct wish_slot *slot = bpf_map_lookup_elem(&kept, &zero);
  struct wish *wish = new_object(struct wish);
  if (!wish) return 0;
  if (slot) wish = bpf_kptr_xchg(&slot->wish, wish);
  if (wish) drop(wish);
  return 0;
}

/* What Linux refuses. */

SEC("tc")
int forgets(struct __sk_buff *skb) {
  struct wish *wish = new_object(struct wish);
  return wish ? wish->number : 0;
}

SEC("tc")
int pushes_unlocked(struct __sk_buff *skb) {
  struct wish *wish = new_object(struct wish);
  if (!wish) return 0;
  bpf_list_push_front_impl(&wishes, &wish->link, NULL, 0);
  return 0;
}

SEC("tc")
int locks_another(struct __sk_buff *skb) {
  struct wish *wish = new_object(struct wish);
  if (!wish) return 0;
  bpf_spin_lock(&errands_lock);
  bpf_list_push_front_impl(&wishes, &wish->link, NULL, 0);
  bpf_spin_unlock(&errands_lock);
  return 0;
}

SEC("tc")
int uses_after_unlock(struct __sk_buff *skb) {
  struct wish *wish = new_object(struct wish);
  if (!wish) return 0;
  bpf_spin_lock(&wishes_lock);
  bpf_list_push_front_impl(&wishes, &wish->link, NULL, 0);
  bpf_spin_unlock(&wishes_lock);
  return wish->number;
}

SEC("tc")
int pushes_twice(struct __sk_buff *skb) {
  struct wish *wish = new_object(struct wish);
  if (!wish) return 0;
  bpf_spin_lock(&wishes_lock);
  bpf_list_push_front_impl(&wishes, &wish->link, NULL, 0);
  bpf_list_push_front_impl(&wishes, &wish->link, NULL, 0);
  bpf_spin_unlock(&wishes_lock);
  return 0;
}

SEC("tc")
int touches_node(struct __sk_buff *skb) {
  struct wish *wish = new_object(struct wish);
  if (!wish) return 0;
  int word = wish->link.opaque[0];
  drop(wish);
  return word;
}

SEC("tc")
int drops_borrowed(struct __sk_buff *skb) {
  bpf_spin_lock(&errands_lock);
  struct bpf_rb_node *node = bpf_rbtree_first(&errands);
  bpf_spin_unlock(&errands_lock);
  if (node) drop(owner_of(node, struct errand, branch));
  return 0;
}

SEC("tc")
int puts_wrong(struct __sk_buff *skb) {
  int zero = 0;
  struct wish_slot *slot = bpf_map_lookup_elem(&kept, &zero);
  struct errand *errand = new_object(struct errand);
  if (!errand) return 0;
  void *before = errand;
  if (slot) before = bpf_kptr_xchg(&slot->wish, errand);
  if (before) drop(before);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
