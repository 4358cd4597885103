/*
 * What user probes are tested on: calls traced_0(), traced_1() and traced_2(), passing two USDT probes, at each line that it reads, and answers
 * with their sum, the semaphore of the first probe, and that one's address. The notes are written by hand, since <sys/sdt.h> is seldom installed.
 */
#include <stdio.h>
#include <unistd.h>

/* How many tracers watch the probe `enter`: Linux counts them. */
__attribute__((section(".probes"))) volatile unsigned short enter_semaphore = 0;

#define PROBE(name, argument, semaphore)                                                      \
  __asm__ volatile(                                                                \
      "990: nop\n"                                                                 \
      ".pushsection .note.stapsdt, \"\", \"note\"\n"                               \
      ".balign 4\n"                                                                \
      ".4byte 992f-991f, 994f-993f, 3\n"                                           \
      "991: .asciz \"stapsdt\"\n"                                                  \
      "992: .balign 4\n"                                                           \
      "993: .8byte 990b\n"                                                         \
      ".8byte _.stapsdt.base\n"                                                    \
      ".8byte " semaphore "\n"                                                     \
      ".asciz \"libbpf_node\"\n"                                                   \
      ".asciz \"" name "\"\n"                                                      \
      ".asciz \"-8@%0\"\n"                                                         \
      "994: .balign 4\n"                                                           \
      ".popsection\n"                                                              \
      ".ifndef _.stapsdt.base\n"                                                   \
      ".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"  \
      ".weak _.stapsdt.base\n"                                                     \
      ".hidden _.stapsdt.base\n"                                                   \
      "_.stapsdt.base: .space 1\n"                                                 \
      ".size _.stapsdt.base, 1\n"                                                  \
      ".popsection\n"                                                              \
      ".endif\n" ::"nor"((long)(argument)))

__attribute__((noinline)) int traced_0(int number) {
  PROBE("enter", number, "enter_semaphore");
  return number + 1;
}

__attribute__((noinline)) int traced_1(int number) {
  PROBE("leave", number, "0");
  return number + 2;
}

__attribute__((noinline)) int traced_2(int number) {
  __asm__ volatile("");
  return number + 3;
}

int main(void) {
  char line[16];
  while (fgets(line, sizeof(line), stdin) != NULL) {
    printf("%d %d %p\n", traced_0(10) + traced_1(20) + traced_2(30), enter_semaphore, (void *)&enter_semaphore);
    fflush(stdout);
  }
  return 0;
}
