/*
 * The reference: maps read and written by C with the same libbpf.
 *
 *   map lookup COUNT    looks up COUNT keys of a hash map of 10,000 entries
 *   map update COUNT    overwrites COUNT of them
 *   map walk COUNT      walks over all of them by next_key and lookup, until COUNT were read
 *
 * Each prints one JSON object.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ENTRIES 10000u

static unsigned long long checksum;

static unsigned long long clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "map: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void lookup(int map, unsigned count) {
  for (unsigned i = 0, key = 0; i < count; i++, key = key + 1 == ENTRIES ? 0 : key + 1) {
    unsigned long long value;
    if (bpf_map_lookup_elem(map, &key, &value)) die("lookup");
    checksum += value;
  }
}

static void update(int map, unsigned count) {
  for (unsigned i = 0, key = 0; i < count; i++, key = key + 1 == ENTRIES ? 0 : key + 1) {
    unsigned long long value = i;
    if (bpf_map_update_elem(map, &key, &value, BPF_ANY)) die("update");
  }
}

static void walk(int map, unsigned count) {
  for (unsigned read = 0; read < count;) {
    unsigned key, *last = NULL;
    while (bpf_map_get_next_key(map, last, &key) == 0) {
      unsigned long long value;
      if (bpf_map_lookup_elem(map, &key, &value)) die("lookup");
      checksum += value;
      last = &key;
      read++;
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: map lookup|update|walk COUNT\n"), 2;
  void (*run)(int, unsigned) = !strcmp(argv[1], "lookup")   ? lookup
                               : !strcmp(argv[1], "update") ? update
                                                            : walk;
  unsigned count = atoi(argv[2]);
  int map = bpf_map_create(BPF_MAP_TYPE_HASH, "bench", 4, 8, ENTRIES, NULL);
  if (map < 0) die("bpf_map_create");
  update(map, ENTRIES);
  unsigned long long wall0 = clock_ns(CLOCK_MONOTONIC), cpu0 = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  run(map, count);
  unsigned long long wall = clock_ns(CLOCK_MONOTONIC) - wall0, cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
  printf("{\"operations\":%u,\"wallNs\":%llu,\"cpuNs\":%llu,\"checksum\":%llu}\n", count, wall, cpu, checksum);
  return 0;
}
