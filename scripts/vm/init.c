/*
 * Process 1 of a virtual machine, in its initrd: makes the host's files the root folder, runs one command,
 * tells its exit code.
 *
 * Expects in the initrd: /modules (paths of kernel modules, in the order of loading, a line each) and
 * /command (the working folder, then the command and its arguments, each ended by a NUL). The host's root is
 * the virtiofs share "host"; what the command writes goes to memory, and is gone with the machine. The second
 * serial port is for results: the last line there is `EXIT <code>`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESULTS "/dev/ttyS1"
#define SETUP_FAILED 125
#define MAX_COMMAND 65536
#define MAX_ARGUMENTS 1024

/* Never comes back: the emulator ends as the machine is switched off. */
static void end(int code) {
  int results = open(RESULTS, O_WRONLY | O_NOCTTY);
  if (results >= 0) {
    dprintf(results, "EXIT %d\n", code);
    fsync(results);
    close(results);
  }
  sync();
  /* Off, or where the kernel has no ACPI: restart, which the emulator takes for an end too. */
  reboot(RB_POWER_OFF);
  reboot(RB_AUTOBOOT);
  for (;;) pause();
}

static void fail(const char* what) {
  fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
  end(SETUP_FAILED);
}

struct mount_point {
  const char *source, *target, *type;
  unsigned long flags;
  const char* options;
  int is_optional;
};

static void mount_all(const struct mount_point* points) {
  for (const struct mount_point* point = points; point->target; point++) {
    mkdir(point->target, 0755);
    if (mount(point->source, point->target, point->type, point->flags, point->options) && !point->is_optional)
      fail(point->target);
  }
}

static const struct mount_point early[] = {
    {"proc", "/proc", "proc", 0, NULL, 0},
    {"sys", "/sys", "sysfs", 0, NULL, 0},
    {0},
};

/* The host's files below, memory above. */
static const struct mount_point layers[] = {
    {"host", "/host", "virtiofs", MS_RDONLY, NULL, 0},
    {"tmpfs", "/memory", "tmpfs", 0, NULL, 0},
    {0},
};

/* In the new root, not in the initrd's. Kernels differ in what they have. */
static const struct mount_point late[] = {
    {"dev", "/root/dev", "devtmpfs", 0, NULL, 0},
    {"proc", "/root/proc", "proc", 0, NULL, 0},
    {"sys", "/root/sys", "sysfs", 0, NULL, 0},
    {"tmpfs", "/root/run", "tmpfs", 0, NULL, 0},
    {"devpts", "/root/dev/pts", "devpts", 0, NULL, 1},
    {"tmpfs", "/root/dev/shm", "tmpfs", 0, NULL, 1},
    {"bpf", "/root/sys/fs/bpf", "bpf", 0, NULL, 1},
    {"cgroup2", "/root/sys/fs/cgroup", "cgroup2", 0, NULL, 1},
    {"tracefs", "/root/sys/kernel/tracing", "tracefs", 0, NULL, 1},
    {"debugfs", "/root/sys/kernel/debug", "debugfs", 0, NULL, 1},
    {"securityfs", "/root/sys/kernel/security", "securityfs", 0, NULL, 1},
    {0},
};

static void load_modules(void) {
  FILE* list = fopen("/modules", "r");
  char path[256];
  if (!list) fail("/modules");
  while (fgets(path, sizeof(path), list)) {
    path[strcspn(path, "\n")] = '\0';
    int module = open(path, O_RDONLY | O_CLOEXEC);
    /* One that a kernel has built in is no failure; the mounts will tell what is missing. */
    if (module < 0 || (syscall(SYS_finit_module, module, "", 0) && errno != EEXIST))
      fprintf(stderr, "init: %s: %s\n", path, strerror(errno));
    if (module >= 0) close(module);
  }
  fclose(list);
}

/* Moves to the new root for good, as switch_root(8) does: after a mere chroot(), programs in namespaces would
 * see the initrd. */
static void switch_root(void) {
  if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
    fail("switching to the new root");
}

static void loopback_up(void) {
  struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
  int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  strcpy(request.ifr_name, "lo");
  if (descriptor < 0 || ioctl(descriptor, SIOCSIFFLAGS, &request))
    fprintf(stderr, "init: lo: %s\n", strerror(errno));
  if (descriptor >= 0) close(descriptor);
}

/* Reads /command. @return the working folder, of which the command and its arguments are the successors */
static char** read_command(void) {
  static char text[MAX_COMMAND], *words[MAX_ARGUMENTS];
  int file = open("/command", O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
  int count = 0;
  if (size < 0) fail("/command");
  close(file);
  for (ssize_t at = 0; at < size && count < MAX_ARGUMENTS - 1; at += strlen(text + at) + 1)
    words[count++] = text + at;
  if (count < 2) {
    errno = ENOEXEC;
    fail("/command");
  }
  return words;
}

/* Waits for everything, because orphans are process 1's. @return what a shell would call the command's exit
 * code */
static int run(char* const command[]) {
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    setsid();
    execvp(command[0], command);
    fprintf(stderr, "init: %s: %s\n", command[0], strerror(errno));
    _exit(127);
  }
  int status = 0;
  pid_t ended;
  do ended = wait(&status);
  while (ended != pid && !(ended < 0 && errno == ECHILD));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(void) {
  mount("dev", "/dev", "devtmpfs", 0, NULL);
  int console = open("/dev/console", O_RDWR);
  for (int descriptor = 0; console >= 0 && descriptor <= 2; descriptor++) dup2(console, descriptor);
  if (console > 2) close(console);

  char** words = read_command();
  mount_all(early);
  load_modules();
  mount_all(layers);
  mkdir("/memory/upper", 0755);
  mkdir("/memory/work", 0755);
  if (mount("overlay", "/root", "overlay", 0, "lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work"))
    fail("overlay");
  mount_all(late);
  switch_root();
  if (symlink("/proc/self/fd", "/dev/fd") && errno != EEXIST)
    fprintf(stderr, "init: /dev/fd: %s\n", strerror(errno));
  loopback_up();

  setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
  setenv("HOME", "/root", 1);
  setenv("TERM", "dumb", 1);
  if (chdir(words[0])) fail(words[0]);
  end(run(words + 1));
}
