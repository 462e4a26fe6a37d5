// Each piece is applied in a child process of its own, which reports by its exit status.
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <thread>
#include <unistd.h>

#include "sandbox/identity.h"
#include "sandbox/limits.h"
#include "sandbox/paths.h"
#include "sandbox/system_calls.h"

namespace netserv::sandbox {
namespace {

// The line of the first expectation that failed in the child, 0 if all held.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  return WEXITSTATUS(status);
}
#define EXPECT_IN_CHILD(n, condition) \
  if (!(condition)) return n

class TemporaryFolder {
 public:
  TemporaryFolder() {
    char pattern[] = "/tmp/netserv-sandbox-XXXXXX";
    path_ = mkdtemp(pattern);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bool can_read(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd >= 0;
}
bool can_write(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

TEST(Identity, RootIsGivenUpForGood) {
  ASSERT_EQ(geteuid(), 0u) << "this test needs root";
  EXPECT_EQ(in_child([] {
    EXPECT_IN_CHILD(1, drop_to({65534, 65534}));
    EXPECT_IN_CHILD(2, getuid() == 65534 && geteuid() == 65534 && getegid() == 65534 && getgroups(0, nullptr) == 0);
    EXPECT_IN_CHILD(3, setuid(0) != 0);
    EXPECT_IN_CHILD(4, drop_to({65534, 65534}));
    EXPECT_IN_CHILD(5, !drop_to({65533, 65533}));
    return 0;
  }), 0);
}

TEST(Identity, RootIsNoUserToDropTo) {
  EXPECT_EQ(in_child([] {
    EXPECT_IN_CHILD(1, !drop_to({0, 0}));
    return 0;
  }), 0);
}

TEST(Identity, NoNetworkIsLeft) {
  EXPECT_EQ(in_child([] {
    EXPECT_IN_CHILD(1, leave_network());
    const auto interfaces = if_nameindex();
    EXPECT_IN_CHILD(2, interfaces != nullptr && std::string(interfaces[0].if_name) == "lo");
    EXPECT_IN_CHILD(3, interfaces[1].if_index == 0 || std::string(interfaces[1].if_name).find("eth") == std::string::npos);
    return 0;
  }), 0);
}

TEST(Paths, OnlyWhatIsListed) {
  TemporaryFolder readable, writable, other;
  std::ofstream(readable.path() + "/a") << "a";
  std::ofstream(other.path() + "/b") << "b";
  EXPECT_EQ(in_child([&] {
    const std::array<PathRule, 4> rules = {{{readable.path(), PathAccess::kRead},
                                            {writable.path(), PathAccess::kReadWrite},
                                            {"/nowhere/at/all", PathAccess::kRead},
                                            {"/dev/null", PathAccess::kReadWrite}}};
    EXPECT_IN_CHILD(1, no_new_privileges());
    EXPECT_IN_CHILD(2, restrict_paths(rules));
    EXPECT_IN_CHILD(3, can_read(readable.path() + "/a"));
    EXPECT_IN_CHILD(4, !can_write(readable.path() + "/a"));
    EXPECT_IN_CHILD(5, !can_read(other.path() + "/b"));
    EXPECT_IN_CHILD(6, can_write(writable.path() + "/new"));
    EXPECT_IN_CHILD(7, can_write("/dev/null"));
    EXPECT_IN_CHILD(8, execl("/bin/true", "true", nullptr) != 0 && errno == EACCES);
    EXPECT_IN_CHILD(9, rename((writable.path() + "/new").c_str(), (other.path() + "/new").c_str()) != 0);
    return 0;
  }), 0);
}

TEST(SystemCalls, ListedOnesAreRefused) {
  EXPECT_EQ(in_child([] {
    EXPECT_IN_CHILD(1, no_new_privileges());
    const std::array<std::span<const std::string_view>, 2> lists = {dangerous_calls(), network_calls()};
    EXPECT_IN_CHILD(2, refuse_calls(lists));
    EXPECT_IN_CHILD(3, socket(AF_INET, SOCK_DGRAM, 0) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(4, ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(5, mount("none", "/tmp", "tmpfs", 0, nullptr) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(6, unshare(CLONE_NEWUSER) < 0 && errno == EPERM);
    const pid_t child = fork();
    if (child == 0) _exit(7);
    int status = 0;
    EXPECT_IN_CHILD(7, child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
    return 0;
  }), 0);
}

TEST(SystemCalls, NothingIsLeftBehindOrPushedIntoATerminal) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_TRUE(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
  const std::string name = ptsname(master);
  EXPECT_EQ(in_child([&] {
    EXPECT_IN_CHILD(1, setsid() > 0);
    const int terminal = open(name.c_str(), O_RDWR);  // the controlling one, as a publisher's own
    const auto lists = std::to_array({dangerous_calls()});
    EXPECT_IN_CHILD(2, terminal >= 0 && no_new_privileges() && refuse_calls(lists));
    EXPECT_IN_CHILD(3, ioctl(terminal, TIOCSTI, "x") < 0 && errno == EPERM);
    // The kernel ignores the request's upper half.
    EXPECT_IN_CHILD(4, syscall(SYS_ioctl, terminal, TIOCSTI | 1ul << 32, "x") < 0 && errno == EPERM);
    int waiting = 0;
    EXPECT_IN_CHILD(5, ioctl(terminal, FIONREAD, &waiting) == 0 && waiting == 0);
    EXPECT_IN_CHILD(6, shmget(IPC_PRIVATE, 4096, 0600) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(7, syscall(SYS_mq_open, "x", O_CREAT | O_RDWR, 0600, nullptr) < 0 && errno == EPERM);
    return 0;
  }), 0);
  close(master);
}

TEST(SystemCalls, AWebClientReachesNoOtherProcess) {
  EXPECT_EQ(in_child([] {
    const pid_t other = fork();  // of the same user, as another helper would be
    if (other == 0) {
      if (die_with_parent()) pause();
      _exit(0);
    }
    const std::array<std::span<const std::string_view>, 2> lists = {dangerous_calls(), process_calls()};
    EXPECT_IN_CHILD(1, die_with_parent() && no_new_privileges());
    EXPECT_IN_CHILD(2, refuse_calls(lists, {.threads_only = true, .ip_sockets_only = true}));
    const rlimit none{};
    EXPECT_IN_CHILD(3, kill(other, SIGKILL) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(4, syscall(SYS_tkill, other, SIGKILL) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(5, syscall(SYS_pidfd_open, other, 0) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(6, prlimit(other, RLIMIT_CPU, &none, nullptr) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(7, fork() < 0 && errno == EPERM);
    EXPECT_IN_CHILD(8, socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(9, socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(10, syscall(SYS_socket, 1ul << 32 | AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(11, socket(AF_VSOCK, SOCK_STREAM, 0) < 0 && errno == EPERM);
    EXPECT_IN_CHILD(12, socket(AF_INET, SOCK_STREAM, 0) >= 0 && socket(AF_INET6, SOCK_DGRAM, 0) >= 0);
    bool ran = false;
    std::thread([&] { ran = true; }).join();
    EXPECT_IN_CHILD(13, ran);
    return 0;
  }), 0);
}

TEST(Limits, AreLoweredAndInherited) {
  TemporaryFolder folder;
  EXPECT_EQ(in_child([&] {
    ResourceLimits limits;
    limits.file_size = 4096;
    limits.open_files = 32;
    limits.cpu = std::chrono::seconds(5);
    EXPECT_IN_CHILD(1, apply_limits(limits));
    rlimit now{};
    getrlimit(RLIMIT_NOFILE, &now);
    EXPECT_IN_CHILD(2, now.rlim_max == 32);
    getrlimit(RLIMIT_CPU, &now);
    EXPECT_IN_CHILD(3, now.rlim_cur == 5 && now.rlim_max == 6);
    getrlimit(RLIMIT_CORE, &now);
    EXPECT_IN_CHILD(4, now.rlim_max == 0);
    const int fd = open((folder.path() + "/f").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const std::string data(5000, 'x');
    EXPECT_IN_CHILD(5, write(fd, data.data(), data.size()) == 4096);
    EXPECT_IN_CHILD(6, write(fd, data.data(), data.size()) < 0 && errno == EFBIG);
    return 0;
  }), 0);
}

}  // namespace
}  // namespace netserv::sandbox
