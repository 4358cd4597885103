/*
 * The reference: ring-buffer consumers in C with the same libbpf, and the producer that floods either side.
 *
 *   ring drain OBJECT FILLS       fills the ring and drains it FILLS times
 *   ring drain-perf OBJECT FILLS  the same with a perf buffer
 *   ring flood OBJECT MS          consumes for MS milliseconds what a producer process sends
 *   ring flood16 OBJECT MS        the same with records of 16 bytes
 *   ring latency OBJECT PULSES    receives single records, which a producer process sends one by one
 *   ring produce PROGRAM_ID MS    runs the flooding program for MS milliseconds
 *   ring count PROGRAM_ID MS      like `produce`, and prints how many records it tried to send
 *   ring pulse PROGRAM_ID PULSES  sends single records, a millisecond apart
 *
 * All that take an OBJECT print one JSON object.
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

static void run_perf(int program, unsigned count) {
  unsigned long long args[2] = {count, 0};
  LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = args, .ctx_size_in = sizeof(args));
  if (bpf_prog_test_run_opts(program, &opts)) die("bpf_prog_test_run_opts");
}

static unsigned long long produced;

static int produce(void (*send)(int, unsigned), unsigned id, int ms) {
  int program = bpf_prog_get_fd_by_id(id);
  if (program < 0) die("bpf_prog_get_fd_by_id");
  unsigned long long end = clock_ns(CLOCK_MONOTONIC) + ms * 1000000ull;
  while (clock_ns(CLOCK_MONOTONIC) < end) {
    send(program, 1024);
    produced += 1024;
  }
  return 0;
}

static int pulse(unsigned id, int pulses) {
  int program = bpf_prog_get_fd_by_id(id);
  if (program < 0) die("bpf_prog_get_fd_by_id");
  for (int i = 0; i < pulses; i++) {
    LIBBPF_OPTS(bpf_test_run_opts, opts);
    usleep(1000);
    if (bpf_prog_test_run_opts(program, &opts)) die("bpf_prog_test_run_opts");
  }
  return 0;
}

static int on_pulse(void *ctx, void *data, size_t size) {
  unsigned long long *latencies = ctx;
  (void)size;
  latencies[records++] = clock_ns(CLOCK_MONOTONIC) - ((unsigned long long *)data)[1];
  return 0;
}

static void on_sample(void *ctx, int cpu, void *data, __u32 size) {
  (void)cpu;
  on_record(ctx, data, size);
}

static int ascending(const void *a, const void *b) {
  unsigned long long left = *(unsigned long long *)a, right = *(unsigned long long *)b;
  return left < right ? -1 : left > right;
}

/* The producer process: this program with other arguments. */
static pid_t start(const char *self, const char *what, int program, const char *argument) {
  struct bpf_prog_info info = {};
  unsigned size = sizeof(info);
  if (bpf_obj_get_info_by_fd(program, &info, &size)) die("bpf_obj_get_info_by_fd");
  char id[16];
  snprintf(id, sizeof(id), "%u", info.id);
  pid_t producer = fork();
  if (producer == 0) {
    execl(self, self, what, id, argument, NULL);
    _exit(127);
  }
  return producer;
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
  if (argc != 4) return fprintf(stderr, "usage: ring drain|drain-perf|flood|flood-perf|flood16|latency OBJECT N | produce|produce-perf|pulse ID N\n"), 2;
  const char *what = argv[1];
  int number = atoi(argv[3]);
  if (!strcmp(what, "count")) return produce(run_flood, atoi(argv[2]), number), printf("%llu\n", produced), 0;
  if (!strcmp(what, "produce")) return produce(run_flood, atoi(argv[2]), number);
  if (!strcmp(what, "produce-perf")) return produce(run_perf, atoi(argv[2]), number);
  if (!strcmp(what, "pulse")) return pulse(atoi(argv[2]), number);

  struct bpf_object *object = load(argv[2]);
  int program = bpf_program__fd(bpf_object__find_program_by_name(
      object, strstr(what, "-perf") ? "flood_perf" : !strcmp(what, "flood16") ? "flood16" : !strcmp(what, "latency") ? "pulse" : "flood"));
  unsigned long long *latencies = calloc(number + 1, sizeof(*latencies));
  int latency = !strcmp(what, "latency");
  int ring_fd = bpf_object__find_map_fd_by_name(object, "ring");
  struct ring_buffer *ring = ring_buffer__new(ring_fd, latency ? on_pulse : on_record, latencies, NULL);
  if (!ring) die("ring_buffer__new");

  unsigned long long wall = 0, cpu = 0;
  if (!strcmp(what, "drain")) {
    for (int i = 0; i < number; i++) {
      run_flood(program, 200000);
      unsigned long long wall0 = clock_ns(CLOCK_MONOTONIC), cpu0 = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
      ring_buffer__consume(ring);
      wall += clock_ns(CLOCK_MONOTONIC) - wall0;
      cpu += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
    }
  } else if (!strcmp(what, "drain-perf")) {
    /* 1024 pages for each CPU, woken up by each record: as the other side does it. */
    int perf_fd = bpf_object__find_map_fd_by_name(object, "perf");
    struct perf_buffer *perf = perf_buffer__new(perf_fd, 1024, on_sample, NULL, NULL, NULL);
    if (!perf) die("perf_buffer__new");
    for (int i = 0; i < number; i++) {
      run_perf(program, 40000);
      unsigned long long wall0 = clock_ns(CLOCK_MONOTONIC), cpu0 = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
      perf_buffer__consume(perf);
      wall += clock_ns(CLOCK_MONOTONIC) - wall0;
      cpu += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
    }
    perf_buffer__free(perf);
  } else if (!strcmp(what, "flood-perf")) {
    int perf_fd = bpf_object__find_map_fd_by_name(object, "perf");
    struct perf_buffer *perf = perf_buffer__new(perf_fd, 1024, on_sample, NULL, NULL, NULL);
    if (!perf) die("perf_buffer__new");
    pid_t producer = start(argv[0], "produce-perf", program, argv[3]);
    unsigned long long wall0 = clock_ns(CLOCK_MONOTONIC), cpu0 = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    int status;
    while (waitpid(producer, &status, WNOHANG) == 0) perf_buffer__poll(perf, 10);
    perf_buffer__consume(perf);
    wall = clock_ns(CLOCK_MONOTONIC) - wall0;
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
    if (status != 0) die("producer");
    perf_buffer__free(perf);
  } else {
    pid_t producer = start(argv[0], latency ? "pulse" : "produce", program, argv[3]);
    unsigned long long wall0 = clock_ns(CLOCK_MONOTONIC), cpu0 = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    int status;
    while (waitpid(producer, &status, WNOHANG) == 0) ring_buffer__poll(ring, 10);
    ring_buffer__consume(ring);
    wall = clock_ns(CLOCK_MONOTONIC) - wall0;
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
    if (status != 0) die("producer");
  }
  qsort(latencies, latency ? records : 0, sizeof(*latencies), ascending);
  struct counters counters = read_counters(object);
  printf("{\"records\":%llu,\"wallNs\":%llu,\"cpuNs\":%llu,\"sent\":%llu,\"lost\":%llu,\"p50Ns\":%llu,\"checksum\":%llu}\n", records, wall,
         cpu, counters.sent, counters.lost, latency ? latencies[records / 2] : 0, checksum);
  ring_buffer__free(ring);
  bpf_object__close(object);
  return 0;
}
