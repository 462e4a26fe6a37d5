#include "container/control_server.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temporary_folder.h"

namespace netserv::container {
namespace {

struct Quiet : ControlServer::Handler {
  ipc::Welcome welcome(std::uint32_t protocol) override { return {protocol, "none", 0, {}, {}}; }
  void on_message(ipc::ToContainer, std::vector<sys::UniqueFd>) override {}
};

// All that has been queued for whoever comes, in order.
std::vector<ipc::FromContainer> all_queued(ControlServer& server, const std::string& path) {
  std::vector<ipc::FromContainer> out;
  auto fd = sys::connect_seqpacket(path);
  if (!fd) return out;
  sys::Channel channel(std::move(*fd));
  EXPECT_TRUE(channel.send(ipc::encode<ipc::ToContainer>(ipc::Hello{})));
  for (bool more = true; more;) {
    std::vector<pollfd> entries;
    server.add_to_poll(entries);
    more = ::poll(entries.data(), entries.size(), 0) > 0;
    server.serve(entries.data());
    for (sys::Datagram d; channel.receive(d, ipc::kMaxMessageBytes).value() == sys::Channel::Received::kMessage; more = true)
      out.push_back(*ipc::decode<ipc::FromContainer>(d.bytes));
  }
  return out;
}

TEST(ControlServer, AFullQueueGivesUpLogLinesFirstAndNeverTheLastStatus) {
  test::TemporaryFolder folder;
  const std::string path = folder.path() + "/control.sock";
  Quiet handler;
  auto server = ControlServer::listen(path, ::geteuid(), handler);
  ASSERT_TRUE(server) << server.error().message();
  (*server)->send(ipc::ContainerStatus{1, 1, {}, {}});
  (*server)->send(ipc::ContainerStatus{2, 2, {}, {}});
  for (int i = 0; i < 10; ++i) (*server)->send(ipc::ModuleLog{ModuleId("m_1"), 1, "a line"});
  for (std::size_t i = 0; i < 2 * ControlServer::kMostQueued; ++i) (*server)->send(ipc::ModuleRestarted{ModuleId("m_1")});
  auto said = all_queued(**server, path);
  ASSERT_EQ(said.size(), 1 + ControlServer::kMostQueued);
  EXPECT_TRUE(std::holds_alternative<ipc::Welcome>(said[0]));
  ASSERT_TRUE(std::holds_alternative<ipc::ContainerStatus>(said[1]));
  EXPECT_EQ(std::get<ipc::ContainerStatus>(said[1]).batches, 2u);
  for (std::size_t i = 2; i < said.size(); ++i) EXPECT_TRUE(std::holds_alternative<ipc::ModuleRestarted>(said[i]));
}

}  // namespace
}  // namespace netserv::container
