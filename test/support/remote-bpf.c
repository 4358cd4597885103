// SPDX-License-Identifier: MIT
/*
 * bpf(2) for who can't call it: reads calls from stdin, answers on stdout, until stdin ends. Descriptors stay open here. With a serial port as its
 * argument it listens there, after a byte that says it is ready: so a virtual machine's kernel is asked from outside.
 *
 * A call:    u32 bytes that follow · s32 command · u32 seconds · u32 bytes of the attributes · u32 buffers · the attributes, padded to 8 ·
 *            for each buffer: u32 where its address goes in the attributes · u32 size · u32 bytes given · u32 kind · the bytes, padded to 8
 * An answer: u32 bytes that follow · s32 result · s32 errno · the attributes, padded to 8 · for each buffer: u32 bytes · the bytes, padded to 8
 *
 * Kinds of buffers: 0 is read by the kernel only, 1 comes back whole, 2 comes back as text, 3 as its last 2,000 characters. Command -1 closes the descriptor that the attributes
 * start with. What takes longer than it may is interrupted: EAGAIN.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

enum { MAX_BUFFERS = 16, CLOSE = -1 };
enum kind { INPUT, OUTPUT, TEXT, TAIL };
enum { TAIL_BYTES = 2000 };

struct call {
  int32_t command;
  uint32_t seconds, attr_size, buffers;
};
struct buffer {
  uint32_t attr_offset, size, given, kind;
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

static void put(const void *bytes, size_t size) {
  static const char zeroes[8];
  if (fwrite(bytes, 1, size, stdout) != size || fwrite(zeroes, 1, padded(size) - size, stdout) != padded(size) - size)
    fail("nobody reads");
}

static void interrupt(int signal) { (void)signal; }

static void serve(char *at) {
  struct call *call = (struct call *)at;
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
  int32_t outcome[2];
  alarm(call->seconds);
  errno = 0;
  if (call->command == CLOSE) outcome[0] = close(*(int *)attr);
  else outcome[0] = (int32_t)syscall(SYS_bpf, call->command, attr, call->attr_size);
  outcome[1] = errno;
  alarm(0);
  uint32_t sizes[MAX_BUFFERS], starts[MAX_BUFFERS], total = sizeof outcome + padded(call->attr_size);
  for (uint32_t i = 0; i < call->buffers; i++) {
    const struct buffer *buffer = buffers[i];
    starts[i] = 0;
    sizes[i] = buffer->kind == INPUT ? 0 : buffer->kind >= TEXT ? strnlen(memory[i], buffer->size) : buffer->size;
    if (buffer->kind == TAIL && sizes[i] > TAIL_BYTES) {
      starts[i] = sizes[i] - TAIL_BYTES;
      sizes[i] = TAIL_BYTES;
    }
    total += 8 + padded(sizes[i]);
  }
  if (fwrite(&total, sizeof total, 1, stdout) != 1) fail("nobody reads");
  put(outcome, sizeof outcome);
  put(attr, call->attr_size);
  for (uint32_t i = 0; i < call->buffers; i++) {
    put(&sizes[i], sizeof sizes[i]);
    put(memory[i] + starts[i], sizes[i]);
    free(memory[i]);
  }
  fflush(stdout);
}

/* The port becomes stdin and stdout, byte for byte. */
static void listen_at(const char *port) {
  struct termios settings;
  const int fd = open(port, O_RDWR | O_NOCTTY | O_NONBLOCK);
  if (fd < 0 || tcgetattr(fd, &settings) != 0) fail(port);
  cfmakeraw(&settings);
  settings.c_cflag |= CLOCAL | CREAD;
  settings.c_cflag &= ~(HUPCL | CRTSCTS);
  if (tcsetattr(fd, TCSANOW, &settings) != 0 || fcntl(fd, F_SETFL, 0) != 0) fail(port);
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
    char *call = must(malloc(size));
    if (fread(call, 1, size, stdin) != size) fail("a call is cut short");
    serve(call);
    free(call);
  }
  return 0;
}
