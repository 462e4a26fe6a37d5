/* What a module would do that has broken out of its sandbox: native code in the container's process, run when the
 * object is opened. It tries to make code or more rights of all it can reach; each success is a line "BREACH ...". */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* All but the two that the container itself needs are refused by its filter, whatever the kernel would say. */
static void attack_options(int udp, int udp6) {
  const struct option { int fd, level, name; } refused[] = {
      {udp, SOL_SOCKET, SO_ATTACH_FILTER}, {udp, SOL_SOCKET, SO_ATTACH_BPF}, {udp, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF},
      {udp, SOL_SOCKET, SO_RCVBUF},        {udp, SOL_SOCKET, SO_REUSEPORT},  {udp, SOL_SOCKET, SO_BROADCAST},
      {udp, SOL_SOCKET, SO_BINDTODEVICE},  {udp, SOL_SOCKET, SO_MARK},       {udp, SOL_SOCKET, SO_PRIORITY},
      {udp, SOL_SOCKET, SO_ZEROCOPY},      {udp, IPPROTO_IP, IP_OPTIONS},    {udp, IPPROTO_IP, IP_TRANSPARENT},
      {udp, IPPROTO_IP, IP_ADD_MEMBERSHIP}, {udp, IPPROTO_IP, IP_MULTICAST_ALL}, {udp, IPPROTO_IP, 64 /* IPT_SO_SET_REPLACE */},
      {udp, IPPROTO_UDP, 100 /* UDP_ENCAP */}, {udp, IPPROTO_UDP, 103 /* UDP_SEGMENT */},
      {udp6, IPPROTO_IPV6, IPV6_ADDRFORM}, {udp6, IPPROTO_IPV6, IPV6_HOPOPTS}, {udp6, IPPROTO_IPV6, IPV6_JOIN_GROUP}};
  for (unsigned i = 0; i < sizeof refused / sizeof *refused; ++i) {
    char value[64] = {1};
    errno = 0;
    int set = setsockopt(refused[i].fd, refused[i].level, refused[i].name, value, sizeof value);
    must_fail("socket option", refused[i].level << 16 | refused[i].name, set == 0 || errno != EPERM);
  }
  int on = 1, bytes = 65536;
  socklen_t length = sizeof on;
  must_fail("IPV6_V6ONLY is needed, and refused", 0, setsockopt(udp6, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0);
  must_fail("SO_SNDBUF is needed, and refused", 0, setsockopt(udp, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) != 0);
  must_fail("getsockopt", 0, getsockopt(udp, SOL_SOCKET, SO_TYPE, &on, &length) == 0 || errno != EPERM);
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
  must_fail("shmat", 0, syscall(SYS_shmat, 0, 0, 0100000 /* SHM_EXEC */) != -1 || errno != EPERM);
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
  int udp = socket(AF_INET, SOCK_DGRAM, 0), udp6 = socket(AF_INET6, SOCK_DGRAM, 0);
  must_fail("have no UDP socket to try with", 0, udp < 0 || udp6 < 0);
  attack_options(udp, udp6);
  must_fail("sendmsg", 0, sendmsg(udp, &(struct msghdr){}, 0) >= 0 || errno != EPERM);
  must_fail("sendmmsg", 0, sendmmsg(udp, &(struct mmsghdr){}, 1, 0) >= 0 || errno != EPERM);
  must_fail("ioctl", 0, ioctl(udp, SIOCGIFCONF, &(struct ifconf){}) >= 0 || errno != EPERM);
  must_fail("connect", 0, connect(udp, &(struct sockaddr){}, sizeof(struct sockaddr)) >= 0 || errno != EPERM);
  must_fail("listen", 0, listen(udp, 1) >= 0 || errno != EPERM);
  close(udp);
  close(udp6);
  must_fail("open /proc", 0, open("/proc/self/mem", O_RDONLY) >= 0);
  say("descriptors", descriptors);
  say("tried", tried);
  say("breaches", breaches);
}
