// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Memory that programs share with user space: pages, pointers in them, and casts between both kinds of addresses. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

#define __arena __attribute__((address_space(1)))

/* Newer than Debian 12's headers. */
enum { BPF_MAP_TYPE_ARENA = 33 };

struct {
  __uint(type, BPF_MAP_TYPE_ARENA);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 8);
  __uint(map_extra, 0x10000000);
} arena SEC(".maps");

void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, u32 page_cnt, int node_id,
                                    u64 flags) __ksym __weak;
void bpf_arena_free_pages(void *map, void __arena *ptr, u32 page_cnt) __ksym __weak;

/* Casts want a program that refers to its arena. */
#define use_arena() asm volatile("" : : "r"(&arena))

struct node {
  struct node __arena *next;
  u64 value;
};

struct request {
  u64 address;
  u32 count;
  u32 flags;
  u64 result;
};

struct node __arena *head;

/* Pages, and the address of the first one as user space has it. */
SEC("syscall")
int allocate(struct request *request) {
  void __arena *hint = (void __arena *)request->address;
  request->result = (u64)bpf_arena_alloc_pages(&arena, hint, request->count, -1, request->flags);
  return 0;
}

SEC("syscall")
int release(struct request *request) {
  bpf_arena_free_pages(&arena, (void __arena *)request->address, request->count);
  return 0;
}

/* A list of as many nodes as are asked for, in a page of its own. The first node of the page isn't used. */
SEC("syscall")
int make_list(struct request *request) {
  struct node __arena *nodes = bpf_arena_alloc_pages(&arena, (void __arena *)0, 1, -1, 0);
  if (!nodes) return 1;
  head = 0;
  for (u32 i = 1; i <= request->count && i < 200; i++) {
    struct node __arena *node = &nodes[i];
    node->value = i * 10;
    node->next = head;
    head = node;
  }
  request->result = (u64)head;
  return 0;
}

/* Sums what the list holds, whoever has written it. */
SEC("syscall")
int sum_list(struct request *request) {
  use_arena();
  u64 sum = 0;
  struct node __arena *node = head;
  for (u32 i = 0; i < 200 && node; i++) {
    sum += node->value;
    node = node->next;
  }
  request->result = sum;
  return 0;
}

/* What lies at an address of user space. */
SEC("syscall")
int read_at(struct request *request) {
  use_arena();
  u64 __arena *at = (u64 __arena *)request->address;
  request->result = *at;
  return 0;
}

SEC("syscall")
int add_at(struct request *request) {
  use_arena();
  u64 __arena *at = (u64 __arena *)request->address;
  request->result = __sync_fetch_and_add(at, request->count);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
