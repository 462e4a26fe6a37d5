#include "daemons/netservd/container_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace netserv::daemon {
namespace {

TEST(ContainerMemory, IsReadFromTheProcessesOwnCgroup) {
  EXPECT_EQ(memory_file("0::/lxc.payload.n-1\n"), "/sys/fs/cgroup/lxc.payload.n-1/memory.current");
  EXPECT_EQ(memory_file("7:cpu,memory:/a\n4:pids:/b\n0::/c\n"), "/sys/fs/cgroup/memory/a/memory.usage_in_bytes");
  EXPECT_EQ(memory_file("4:pids:/b"), "");
  EXPECT_EQ(memory_file("nonsense\n:\n"), "");
}

TEST(ContainerMemory, OfNoProcessIsUnknown) { EXPECT_FALSE(memory_in_use(0)); }

}  // namespace
}  // namespace netserv::daemon
