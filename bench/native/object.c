/*
 * The reference: what an agent does at its start, in C with the same libbpf.
 *
 *   object OBJECT CYCLES    opens, loads, attaches and closes an object CYCLES times
 *
 * Prints one JSON object. Closing is not measured.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_PROGRAMS 64

static unsigned long long clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "object: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int attach(struct bpf_object *object, struct bpf_link **links) {
  int count = 0;
  struct bpf_program *program;
  bpf_object__for_each_program(program, object) {
    if (!bpf_program__autoload(program)) continue;
    if (count == MAX_PROGRAMS) die("too many programs");
    links[count] = bpf_program__attach(program);
    if (!links[count]) die("bpf_program__attach");
    count++;
  }
  return count;
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: object OBJECT CYCLES\n"), 2;
  int cycles = atoi(argv[2]);
  unsigned long long wall = 0, cpu = 0;
  for (int i = 0; i < cycles; i++) {
    struct bpf_link *links[MAX_PROGRAMS];
    unsigned long long wall0 = clock_ns(CLOCK_MONOTONIC), cpu0 = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
    if (!object || bpf_object__load(object)) die("bpf_object__load");
    int count = attach(object, links);
    wall += clock_ns(CLOCK_MONOTONIC) - wall0;
    cpu += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
    while (count > 0) bpf_link__destroy(links[--count]);
    bpf_object__close(object);
  }
  printf("{\"cycles\":%d,\"wallNs\":%llu,\"cpuNs\":%llu}\n", cycles, wall, cpu);
  return 0;
}
