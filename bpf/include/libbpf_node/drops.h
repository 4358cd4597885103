/* SPDX-License-Identifier: MIT */
/*
 * Counts what finds no room in a ring buffer, by CPU, in a map beside it. libbpf-node finds the counter by its name:
 *
 *   struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); } events SEC(".maps");
 *   LIBBPF_NODE_DROPS(events);
 *   …
 *   struct event *event = libbpf_node_reserve(events, sizeof(*event), 0);
 *   if (!event) return 0;
 *
 *   object.maps.events.ringBuffer({ dropped: true }).on('drop', (count) => …)
 *
 * To be included behind the kernel's types (vmlinux.h, linux/bpf.h or one's own) and bpf/bpf_helpers.h.
 */
#ifndef LIBBPF_NODE_DROPS_H
#define LIBBPF_NODE_DROPS_H

/* Defines the counter of the ring buffer `ring`: the map `<ring>_drops`. */
#define LIBBPF_NODE_DROPS(ring)                \
  struct {                                     \
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);   \
    __uint(max_entries, 1);                    \
    __type(key, __u32);                        \
    __type(value, __u64);                      \
  } ring##_drops SEC(".maps")

static __always_inline void libbpf_node_count_drop(void *counter) {
  __u32 zero = 0;
  __u64 *count = bpf_map_lookup_elem(counter, &zero);
  /* Atomic although the slot is this CPU's own: a program may interrupt another one. */
  if (count) __sync_fetch_and_add(count, 1);
}

/* bpf_ringbuf_reserve() of `size` bytes, a constant; counts where there is no room. */
#define libbpf_node_reserve(ring, size, flags)                                 \
  ({                                                                           \
    void *libbpf_node_record = bpf_ringbuf_reserve(&(ring), (size), (flags));  \
    if (!libbpf_node_record) libbpf_node_count_drop(&ring##_drops);            \
    libbpf_node_record;                                                        \
  })

/* bpf_ringbuf_output(); counts where there is no room. 0, or the helper's negative errno. */
#define libbpf_node_output(ring, data, size, flags)                               \
  ({                                                                              \
    long libbpf_node_error = bpf_ringbuf_output(&(ring), (data), (size), (flags)); \
    if (libbpf_node_error) libbpf_node_count_drop(&ring##_drops);                 \
    libbpf_node_error;                                                            \
  })

#endif
