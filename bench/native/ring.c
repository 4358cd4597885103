/*
 * The reference: ring-buffer consumers in C with the same libbpf, and the producer that floods either side.
 *
 *   ring drain OBJECT FILLS       fills the ring and drains it FILLS times
 *   ring flood OBJECT MS          consumes for MS milliseconds what a producer process sends
 *   ring produce PROGRAM_ID MS    runs the flooding program for MS milliseconds
 *
 * The first two print one JSON object.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct counters {
  unsigned long long sent, lost;
};

static unsigned long long records, checksum;

static unsigned long long clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int on_record(void *ctx, void *data, size_t size) {
  (void)ctx;
  records++;
  checksum += *(unsigned char *)data + size;
  return 0;
}

static void die(const char *what) {
  fprintf(stderr, "ring: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void run_flood(int program, unsigned count) {
  LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &count, .ctx_size_in = sizeof(count));
  if (bpf_prog_test_run_opts(program, &opts)) die("bpf_prog_test_run_opts");
}

static int produce(unsigned id, int ms) {
  int program = bpf_prog_get_fd_by_id(id);
  if (program < 0) die("bpf_prog_get_fd_by_id");
  unsigned long long end = clock_ns(CLOCK_MONOTONIC) + ms * 1000000ull;
  while (clock_ns(CLOCK_MONOTONIC) < end) run_flood(program, 1024);
  return 0;
}

static struct bpf_object *load(const char *path) {
  struct bpf_object *object = bpf_object__open_file(path, NULL);
  if (!object || bpf_object__load(object)) die("bpf_object__load");
  return object;
}

static struct counters read_counters(struct bpf_object *object) {
  struct counters counters;
  unsigned zero = 0;
  int fd = bpf_object__find_map_fd_by_name(object, ".bss");
  if (fd < 0 || bpf_map_lookup_elem(fd, &zero, &counters)) die("read .bss");
  return counters;
}

int main(int argc, char **argv) {
  if (argc != 4) return fprintf(stderr, "usage: ring drain|flood OBJECT N | produce ID MS\n"), 2;
  if (!strcmp(argv[1], "produce")) return produce(atoi(argv[2]), atoi(argv[3]));

  struct bpf_object *object = load(argv[2]);
  int flood = bpf_program__fd(bpf_object__find_program_by_name(object, "flood"));
  int ring_fd = bpf_object__find_map_fd_by_name(object, "ring");
  struct ring_buffer *ring = ring_buffer__new(ring_fd, on_record, NULL, NULL);
  if (!ring) die("ring_buffer__new");

  unsigned long long wall = 0, cpu = 0;
  if (!strcmp(argv[1], "drain")) {
    int fills = atoi(argv[3]);
    for (int i = 0; i < fills; i++) {
      run_flood(flood, 200000);
      unsigned long long wall0 = clock_ns(CLOCK_MONOTONIC), cpu0 = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
      ring_buffer__consume(ring);
      wall += clock_ns(CLOCK_MONOTONIC) - wall0;
      cpu += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
    }
  } else {
    struct bpf_prog_info info = {};
    unsigned size = sizeof(info);
    if (bpf_obj_get_info_by_fd(flood, &info, &size)) die("bpf_obj_get_info_by_fd");
    char id[16];
    snprintf(id, sizeof(id), "%u", info.id);
    pid_t producer = fork();
    if (producer == 0) {
      execl(argv[0], argv[0], "produce", id, argv[3], NULL);
      _exit(127);
    }
    unsigned long long wall0 = clock_ns(CLOCK_MONOTONIC), cpu0 = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    int status;
    while (waitpid(producer, &status, WNOHANG) == 0) ring_buffer__poll(ring, 10);
    ring_buffer__consume(ring);
    wall = clock_ns(CLOCK_MONOTONIC) - wall0;
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
    if (status != 0) die("producer");
  }
  struct counters counters = read_counters(object);
  printf("{\"records\":%llu,\"wallNs\":%llu,\"cpuNs\":%llu,\"sent\":%llu,\"lost\":%llu,\"checksum\":%llu}\n", records, wall, cpu,
         counters.sent, counters.lost, checksum);
  ring_buffer__free(ring);
  bpf_object__close(object);
  return 0;
}
