/* What a module would do that has broken out of its sandbox: native code in the container's process, run when the
 * object is opened. It tries to make code or more rights of all it can reach; each success is a line "BREACH ...". */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int tried, breaches;

static void say(const char* text, int number) {
  char line[128];
  int n = snprintf(line, sizeof line, "%s %d\n", text, number);
  if (write(2, line, n) < 0) return;
}
static void must_fail(const char* what, int number, int succeeded) {
  ++tried;
  if (!succeeded) return;
  ++breaches;
  char line[96];
  snprintf(line, sizeof line, "BREACH %s", what);
  say(line, number);
}
static int mapped(int protection, int flags, int fd) {
  return mmap(0, 4096, protection, flags, fd, 0) != MAP_FAILED;
}

__attribute__((constructor)) static void attack(void) {
  int descriptors = 0;
  for (int fd = 0; fd < 256; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) continue;
    ++descriptors;
    char name[4];
    int is_object = pread(fd, name, 4, 0) == 4 && memcmp(name, "\177ELF", 4) == 0;
    must_fail("shared executable mapping of descriptor", fd, mapped(PROT_READ | PROT_EXEC, MAP_SHARED, fd));
    must_fail("writable executable mapping of descriptor", fd,
              mapped(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, fd));
    if (!is_object)
      must_fail("private executable mapping of descriptor", fd, mapped(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd));
  }
  must_fail("anonymous executable mapping", 0, mapped(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1));
  must_fail("shared anonymous executable mapping", 0, mapped(PROT_READ | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1));
  void* page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must_fail("mprotect to executable", 0, mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
  must_fail("pkey_mprotect", 0, syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1) == 0);
  must_fail("memfd_create", 0, syscall(SYS_memfd_create, "x", 0) >= 0);
  must_fail("personality", 0, syscall(SYS_personality, 0x0400000) >= 0);
  must_fail("shmget", 0, syscall(SYS_shmget, 0, 4096, 0600) >= 0);
  must_fail("io_uring_setup", 0, syscall(SYS_io_uring_setup, 1, 0) >= 0 || errno != EPERM);
  must_fail("ptrace", 0, syscall(SYS_ptrace, 0, 0, 0, 0) >= 0);
  must_fail("execve", 0, syscall(SYS_execve, "/netserv-container", 0, 0) >= 0 || errno != EPERM);
  must_fail("fork", 0, syscall(SYS_fork) >= 0);
  must_fail("clone", 0, syscall(SYS_clone, 0x10000000, 0, 0, 0, 0) >= 0);
  must_fail("unshare", 0, syscall(SYS_unshare, 0x40000000) >= 0);
  must_fail("mount", 0, syscall(SYS_mount, "x", "/modules", "tmpfs", 0, 0) >= 0);
  must_fail("ftruncate", 0, syscall(SYS_ftruncate, 2, 0) >= 0);
  must_fail("fallocate", 0, syscall(SYS_fallocate, 2, 0, 0, 4096) >= 0);
  must_fail("create a file", 0, open("/run/netserv/x", O_CREAT | O_RDWR, 0700) >= 0);
  must_fail("write to a file", 0, open("/run/netserv/container.log", O_WRONLY) >= 0);
  must_fail("unnamed file", 0, open("/run/netserv", O_TMPFILE | O_RDWR, 0700) >= 0);
  must_fail("unlink", 0, unlink("/run/netserv/control.sock") == 0);
  must_fail("raw socket", 0, socket(AF_INET, SOCK_RAW, 255) >= 0);
  must_fail("packet socket", 0, socket(AF_PACKET, SOCK_RAW, 0) >= 0);
  must_fail("netlink socket", 0, socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
  must_fail("unix socket", 0, socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
  must_fail("open /proc", 0, open("/proc/self/mem", O_RDONLY) >= 0);
  say("descriptors", descriptors);
  say("tried", tried);
  say("breaches", breaches);
}
