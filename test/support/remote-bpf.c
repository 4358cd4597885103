// SPDX-License-Identifier: MIT
/*
 * bpf(2) for who can't call it: reads batches of calls from stdin, answers on stdout, until stdin ends. Descriptors stay open here. With a port as its
 * argument it listens there, after a byte that says it is ready: so a virtual machine's kernel is asked from outside.
 *
 * A batch:   u32 bytes that follow · u32 calls · u32 0 · the calls, one after the other
 * A call:    s32 command · u32 seconds · s32 condition · u32 bytes of the attributes · u32 buffers · u32 links · the attributes, padded to 8 ·
 *            for each buffer: u32 where its address goes in the attributes · u32 size · u32 bytes given · u32 kind · the bytes, padded to 8 ·
 *            for each link: s32 buffer, or -1 for the attributes · u32 offset in it · u32 the earlier call whose result goes there · u32 0
 * An answer: u32 bytes that follow · for each call: s32 result · s32 errno · u32 bytes of the attributes · u32 buffers · the attributes, padded to 8 ·
 *            for each buffer: u32 bytes · u32 0 · the bytes, padded to 8
 *
 * Kinds of buffers: 0 is read by the kernel only, 1 comes back whole, 2 comes back as text, 3 as its last 2,000 characters. A call with a condition n > 0 is
 * made if the call n - 1 of its batch has failed only; one that a failed call is linked to isn't made: ECANCELED, as where the condition isn't met.
 * What takes longer than it may is interrupted: EAGAIN.
 *
 * Commands of its own: -1 closes the descriptor that the attributes start with; -2 makes their first 64 bits the capabilities in effect; -3 reads the file
 * whose path their first pointer has, into what the second points to, at most as many bytes as the 32 bits behind say.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

enum { MAX_BUFFERS = 16, MAX_CALLS = 64, CLOSE = -1, CAPABILITIES = -2, READ = -3 };
enum kind { INPUT, OUTPUT, TEXT, TAIL };
enum { TAIL_BYTES = 2000 };

struct call {
  int32_t command;
  uint32_t seconds;
  int32_t condition;
  uint32_t attr_size, buffers, links;
};
struct buffer {
  uint32_t attr_offset, size, given, kind;
};
struct link {
  int32_t buffer;
  uint32_t offset, call, unused;
};
struct result {
  int32_t result, error;
};

static void fail(const char *what) {
  fprintf(stderr, "remote-bpf: %s\n", what);
  exit(1);
}

static void *must(void *memory) {
  if (memory == NULL) fail("out of memory");
  return memory;
}

static size_t padded(size_t size) { return (size + 7) & ~(size_t)7; }

/* The answer, until it is complete. */
static char *answer;
static size_t answer_size, answer_room;

static void put(const void *bytes, size_t size) {
  const size_t end = answer_size + padded(size);
  if (end > answer_room) answer = must(realloc(answer, answer_room = 2 * end));
  memcpy(answer + answer_size, bytes, size);
  memset(answer + answer_size + size, 0, padded(size) - size);
  answer_size = end;
}

static void put_two(uint32_t first, uint32_t second) {
  const uint32_t words[2] = {first, second};
  put(words, sizeof words);
}

static void interrupt(int signal) { (void)signal; }

static int set_capabilities(uint64_t effective) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data)) return -1;
  data[0].effective = data[0].permitted & (uint32_t)effective;
  data[1].effective = data[1].permitted & (uint32_t)(effective >> 32);
  return (int)syscall(SYS_capset, &header, data);
}

static int read_file(const char *path, char *into, uint32_t size) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = 0, done = 0;
  while (fd >= 0 && done < size && (got = read(fd, into + done, size - done)) > 0) done += got;
  if (fd < 0 || got < 0) return -1;
  close(fd);
  return (int)done;
}

static int carry_out(int command, char *attr, uint32_t size, uint32_t seconds) {
  uint64_t capabilities;
  int result;
  if (command == CLOSE) return close(*(int *)attr);
  if (command == CAPABILITIES) {
    memcpy(&capabilities, attr, sizeof capabilities);
    return set_capabilities(capabilities);
  }
  if (command == READ) {
    const uint64_t *pointers = (const uint64_t *)attr;
    return read_file((const char *)(uintptr_t)pointers[0], (char *)(uintptr_t)pointers[1], (uint32_t)pointers[2]);
  }
  alarm(seconds);
  errno = 0;
  result = (int)syscall(SYS_bpf, command, attr, size);
  const int error = errno;
  alarm(0);
  errno = error;
  return result;
}

/* @return where the next call starts */
static char *serve(char *at, struct result *results, uint32_t index) {
  const struct call *call = (struct call *)at;
  char *attr = at + sizeof *call;
  char *memory[MAX_BUFFERS];
  struct buffer *buffers[MAX_BUFFERS];
  if (call->buffers > MAX_BUFFERS) fail("too many buffers");
  at = attr + padded(call->attr_size);
  for (uint32_t i = 0; i < call->buffers; i++) {
    struct buffer *buffer = buffers[i] = (struct buffer *)at;
    at += sizeof *buffer;
    memory[i] = must(malloc(buffer->size + 1));
    memcpy(memory[i], at, buffer->given);
    memset(memory[i] + buffer->given, 0, buffer->kind >= TEXT ? 1 : buffer->size - buffer->given);
    const uint64_t address = (uintptr_t)memory[i];
    memcpy(attr + buffer->attr_offset, &address, sizeof address);
    at += padded(buffer->given);
  }
  int is_made = call->condition <= 0 || results[call->condition - 1].result < 0;
  for (uint32_t i = 0; i < call->links; i++, at += sizeof(struct link)) {
    const struct link *link = (struct link *)at;
    if (link->call >= index) fail("a link to a later call");
    if (results[link->call].result < 0) is_made = 0;
    memcpy((link->buffer < 0 ? attr : memory[link->buffer]) + link->offset, &results[link->call].result, 4);
  }
  struct result *result = &results[index];
  result->result = is_made ? carry_out(call->command, attr, call->attr_size, call->seconds) : -1;
  result->error = is_made ? errno : ECANCELED;
  put(result, sizeof *result);
  put_two(is_made ? call->attr_size : 0, is_made ? call->buffers : 0);
  if (is_made) put(attr, call->attr_size);
  for (uint32_t i = 0; i < call->buffers; i++) {
    const struct buffer *buffer = buffers[i];
    size_t start = 0;
    size_t size = buffer->kind == INPUT ? 0 : buffer->kind >= TEXT ? strnlen(memory[i], buffer->size) : buffer->size;
    if (call->command == READ && buffer->kind == OUTPUT) size = result->result < 0 ? 0 : (size_t)result->result;
    if (buffer->kind == TAIL && size > TAIL_BYTES) {
      start = size - TAIL_BYTES;
      size = TAIL_BYTES;
    }
    if (is_made) {
      put_two((uint32_t)size, 0);
      put(memory[i] + start, size);
    }
    free(memory[i]);
  }
  return at;
}

/* The port becomes stdin and stdout, byte for byte. */
static void listen_at(const char *port) {
  struct termios settings;
  const int fd = open(port, O_RDWR | O_NOCTTY);
  if (fd < 0) fail(port);
  if (tcgetattr(fd, &settings) == 0) {
    cfmakeraw(&settings);
    if (tcsetattr(fd, TCSANOW, &settings) != 0) fail(port);
  }
  dup2(fd, STDIN_FILENO);
  dup2(fd, STDOUT_FILENO);
  putchar('!');
  fflush(stdout);
}

int main(int count, char **arguments) {
  if (count > 1) listen_at(arguments[1]);
  /* Without SA_RESTART: a system call that takes too long returns. */
  const struct sigaction action = {.sa_handler = interrupt};
  sigaction(SIGALRM, &action, NULL);
  uint32_t size;
  while (fread(&size, sizeof size, 1, stdin) == 1) {
    char *batch = must(malloc(size));
    if (fread(batch, 1, size, stdin) != size) fail("a batch is cut short");
    struct result results[MAX_CALLS];
    const uint32_t calls = *(uint32_t *)batch;
    if (calls > MAX_CALLS) fail("too many calls");
    answer_size = 0;
    char *at = batch + 8;
    for (uint32_t i = 0; i < calls; i++) at = serve(at, results, i);
    const uint32_t total = (uint32_t)answer_size;
    if (fwrite(&total, sizeof total, 1, stdout) != 1 || fwrite(answer, 1, total, stdout) != total || fflush(stdout))
      fail("nobody reads");
    free(batch);
  }
  return 0;
}
