// What journald gets of a log line. A child process has a /run of its own, with a socket of the test's in journald's
// place.
#include "daemons/netservd/journal_sink.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <vector>

#include "base/log.h"
#include "sys/fd.h"

namespace netserv::daemon {
namespace {

enum class StandardError { kIsTheJournal, kIsRedirected };

// For the child: what went wrong, as its exit code.
#define OR_EXIT(condition) \
  if (!(condition)) ::_exit(__LINE__ % 256)

int fake_journal() {
  const std::string user = "0 " + std::to_string(::geteuid()) + " 1", group = "0 " + std::to_string(::getegid()) + " 1";
  OR_EXIT(::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << user;
  std::ofstream("/proc/self/gid_map") << group;
  OR_EXIT(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  OR_EXIT(::mount("run", "/run", "tmpfs", 0, nullptr) == 0);
  OR_EXIT(::mkdir("/run/systemd", 0755) == 0 && ::mkdir("/run/systemd/journal", 0755) == 0);
  int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{AF_UNIX, "/run/systemd/journal/socket"};
  OR_EXIT(::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  return fd;
}

// The datagrams that the journal got while `log` ran, and what was written to standard error, last.
std::vector<std::string> logged(StandardError kind, void (*log)()) {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int journal = fake_journal();
    int stream[2];
    OR_EXIT(::pipe2(stream, O_NONBLOCK) == 0 && ::dup2(stream[1], STDERR_FILENO) >= 0);
    struct stat s {};
    OR_EXIT(::fstat(stream[1], &s) == 0);
    const auto inode = s.st_ino + (kind == StandardError::kIsRedirected);
    ::setenv("JOURNAL_STREAM", (std::to_string(s.st_dev) + ":" + std::to_string(inode)).c_str(), 1);
    log_to_journal_if_there_is_one();
    log();
    std::array<char, 4096> bytes;
    for (ssize_t n; (n = ::recv(journal, bytes.data(), bytes.size(), MSG_DONTWAIT)) > 0;)
      OR_EXIT(::send(ends[1], bytes.data(), static_cast<std::size_t>(n), 0) == n);
    const ssize_t n = std::max<ssize_t>(::read(stream[0], bytes.data(), bytes.size() - 1), 0);
    bytes[static_cast<std::size_t>(n)] = '\n';
    OR_EXIT(::send(ends[1], bytes.data(), static_cast<std::size_t>(n) + 1, 0) == n + 1);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::vector<std::string> out;
  std::array<char, 4096> bytes;
  for (ssize_t n; (n = ::recv(ends[0], bytes.data(), bytes.size(), 0)) > 0;)
    out.emplace_back(bytes.data(), static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "line " << WEXITSTATUS(status) << " (modulo 256)";
  return out;
}

TEST(JournalSink, ALineHasItsFields) {
  const auto told = logged(StandardError::kIsTheJournal, [] {
    log_warning({.publisher = "janedoe", .module = "Mon_1.0"}, "trapped: {}", "unreachable");
    log_error({.name = "database"}, "is full");
    log_info({}, "two\nlines");
  });
  ASSERT_EQ(told.size(), 4u);
  const std::string who = std::string("SYSLOG_IDENTIFIER=") + program_invocation_short_name + "\n";
  EXPECT_EQ(told[0], "MESSAGE=trapped: unreachable\nPRIORITY=4\nPUBLISHER=janedoe\nMODULE=Mon_1.0\n" + who);
  EXPECT_EQ(told[1], "MESSAGE=is full\nPRIORITY=3\nSUBJECT=database\n" + who);
  // A value of several lines has its length, in 64 bits, little-endian.
  EXPECT_EQ(told[2], std::string("MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\nPRIORITY=6\n", 37) + who);
  EXPECT_EQ(told[3], "\n") << "nothing on standard error";
}

TEST(JournalSink, StandardErrorThatIsAnotherGetsPlainLines) {
  const auto told = logged(StandardError::kIsRedirected, [] { log_warning({.publisher = "janedoe"}, "trapped"); });
  ASSERT_EQ(told.size(), 1u) << "nothing in the journal";
  EXPECT_THAT(told[0], testing::HasSubstr("trapped"));
  EXPECT_THAT(told[0], testing::HasSubstr("janedoe"));
}

}  // namespace
}  // namespace netserv::daemon
