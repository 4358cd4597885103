// Maps that their user sizes before they are made, one that is pinned by its name, and kinds of which the fallback has none: to be verified as they are.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_STACK_TRACE);
  __uint(key_size, sizeof(__u32));
} stacks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(__u32));
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
  __type(key, __u32);
  __type(value, __u64);
} pinned SEC(".maps");

SEC("raw_tp/sys_enter")
int count(void *ctx)
{
  __u32 zero = 0;
  __u64 one = 1;
  __u64 *times = bpf_map_lookup_elem(&pinned, &zero);
  __s32 stack = bpf_get_stackid(ctx, &stacks, 0);
  if (times)
    *times += 1;
  bpf_map_update_elem(&counters, &stack, &one, BPF_ANY);
  bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &stack, sizeof(stack));
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
