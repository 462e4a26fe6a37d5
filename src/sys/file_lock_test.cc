#include "sys/file_lock.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>

namespace netserv::sys {
namespace {

class FileLockTest : public ::testing::Test {
 protected:
  FileLockTest() {
    char path[] = "/tmp/netserv-lock.XXXXXX";
    folder_ = ::mkdtemp(path);
    path_ = folder_ + "/lock";
  }
  ~FileLockTest() override { std::filesystem::remove_all(folder_); }
  ino_t at_path() const {
    struct stat s {};
    return ::stat(path_.c_str(), &s) == 0 ? s.st_ino : 0;
  }
  std::string folder_, path_;
};

TEST_F(FileLockTest, IsHeldByOneUntilItIsClosed) {
  UniqueFd mine = *lock_file(path_);
  EXPECT_FALSE(*try_lock_file(path_));
  mine.reset();
  EXPECT_TRUE(*try_lock_file(path_));
}

TEST_F(FileLockTest, TheDeadHoldNothing) {
  pid_t pid = ::fork();
  if (pid == 0) {
    auto held = lock_file(path_);
    ::_exit(held ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(*try_lock_file(path_));
}

TEST_F(FileLockTest, WhoWaitedForAFileThatIsGoneTakesTheOneAtItsPath) {
  // Each holder unlinks the file while the others wait for it. Two at once would open a bracket in another's.
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  constexpr int kProcesses = 8, kRounds = 50;
  for (int n = 0; n < kProcesses; ++n) {
    if (::fork() != 0) continue;
    for (int round = 0; round < kRounds; ++round) {
      auto held = lock_file(path_);
      if (!held || ::write(pipe[1], "(", 1) != 1) ::_exit(1);
      ::sched_yield();
      if (::write(pipe[1], ")", 1) != 1) ::_exit(1);
      ::unlink(path_.c_str());
    }
    ::_exit(0);
  }
  ::close(pipe[1]);
  std::string seen;
  char buffer[256];
  for (ssize_t n; (n = ::read(pipe[0], buffer, sizeof buffer)) > 0;) seen.append(buffer, static_cast<std::size_t>(n));
  ::close(pipe[0]);
  for (int n = 0; n < kProcesses; ++n) {
    int status = 0;
    ASSERT_GT(::wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(seen.size(), 2u * kProcesses * kRounds);
  for (std::size_t n = 0; n < seen.size(); ++n) ASSERT_EQ(seen[n], n % 2 == 0 ? '(' : ')') << "at " << n;
}

}  // namespace
}  // namespace netserv::sys
