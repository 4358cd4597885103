// SPDX-License-Identifier: MIT
/* Prints the ids of all maps, programs and links of the kernel: a line of numbers each. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int print_all(const char *what, int (*next)(__u32, __u32 *)) {
  for (__u32 id = 0; next(id, &id) == 0;) printf("%u ", id);
  const int error = errno;
  putchar('\n');
  if (error == ENOENT) return 0;
  fprintf(stderr, "%s: %s\n", what, strerror(error));
  return 1;
}

int main(void) {
  return print_all("maps", bpf_map_get_next_id) | print_all("programs", bpf_prog_get_next_id) |
         print_all("links", bpf_link_get_next_id);
}
