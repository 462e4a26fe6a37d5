// The real modules, compiled as a node does it, over captures made here.
#include "cli/module_run.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/files.h"
#include "cli/pcap_file.h"
#include "support/wat_module.h"
#include "wire/ip/packet.h"

namespace netserv::cli {
namespace {

using nlohmann::json;

Bytes udp(const std::string& payload) {
  ByteWriter w;
  w.u8(0x45), w.u8(0), w.u16(static_cast<std::uint16_t>(28 + payload.size())), w.u32(0), w.u8(63), w.u8(17), w.u16(0);
  w.u32(0xc0000201), w.u32(0xc6336407), w.u16(40000), w.u16(5060), w.u16(static_cast<std::uint16_t>(8 + payload.size()));
  w.u16(0), w.text(payload);
  Bytes packet = w.take();
  EXPECT_TRUE(fix_checksums(packet));
  return packet;
}

const std::string kNotify =
    "NOTIFY sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK-1;rport\r\n"
    "From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:example.com>\r\nCall-ID: c1\r\nCSeq: 7 NOTIFY\r\n"
    "Event: keep-alive\r\nContent-Length: 0\r\n\r\n";

class ModuleRun : public ::testing::Test {
 protected:
  Result<TemporaryFolder> folder_ = TemporaryFolder::make();
  RunOptions options_;

  void SetUp() override {
    options_.pcap = folder_->path() + "/in.pcap";
    options_.out = folder_->path() + "/out.pcap";
    options_.json = true;
  }
  void capture(const std::vector<Bytes>& packets) {
    auto writer = PcapWriter::create(options_.pcap);
    ASSERT_TRUE(writer);
    WallTime time(std::chrono::seconds(1000));
    for (const Bytes& packet : packets) (*writer)->write(time += std::chrono::milliseconds(10), packet);
    ASSERT_TRUE((*writer)->close());
  }
  json run(const std::string& module) {
    options_.wasm = NETSERV_BINARY_DIR "/modules/" + module + ".wasm";
    std::ostringstream out;
    auto ran = run_module(options_, out);
    EXPECT_TRUE(ran) << (ran ? "" : ran.error().message());
    EXPECT_TRUE(ran && *ran) << out.str();
    return ran ? json::parse(out.str()) : json();
  }
  std::vector<Bytes> written() {
    std::vector<Bytes> packets;
    auto reader = PcapReader::open(options_.out);
    EXPECT_TRUE(reader);
    std::uint64_t skipped = 0;
    EXPECT_TRUE((*reader)->each(
        [&](const CapturedPacket& p) {
          packets.emplace_back(p.bytes.begin(), p.bytes.end());
          return Status();
        },
        skipped));
    return packets;
  }
};

TEST_F(ModuleRun, KeepAliveAnswers) {
  capture({udp(kNotify), udp("other"), udp("\r\n\r\n"), udp(std::string(4, '\0'))});
  json result = run("keepalive");
  EXPECT_EQ(result["summary"]["packets"], 4);
  EXPECT_EQ(result["summary"]["reply"], 2);
  EXPECT_EQ(result["summary"]["pass"], 1);
  EXPECT_EQ(result["summary"]["drop"], 1);
  EXPECT_EQ(result["packets"][0]["verdict"], "reply");
  EXPECT_EQ(result["packets"][0]["to"], "198.51.100.7:5060");
  EXPECT_EQ(result["counters"]["notify"], 1);
  auto out = written();
  ASSERT_EQ(out.size(), 3u);
  auto reply = parse_packet(out[0]);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->source.to_string(), "198.51.100.7");
  EXPECT_EQ(reply->destination.to_string(), "192.0.2.1");
  EXPECT_EQ(as_text(out[0]).substr(28, 14), "SIP/2.0 200 OK");
  Bytes checked = out[0];
  ASSERT_TRUE(fix_checksums(checked));
  EXPECT_EQ(checked, out[0]);
  EXPECT_EQ(out[1], udp("other"));
}

TEST_F(ModuleRun, KeepAliveWithSwapOffPassesAll) {
  options_.properties = {{"swap", "off"}};
  capture({udp(kNotify)});
  EXPECT_EQ(run("keepalive")["summary"]["pass"], 1);
  EXPECT_EQ(written()[0], udp(kNotify));
}

TEST_F(ModuleRun, NetMonitorReports) {
  options_.properties = {{"visualizer_ip", "192.0.2.99"}, {"visualizer_port", "5678"}};
  capture({udp("a"), udp("b"), udp("c")});
  json result = run("netmonitor");
  EXPECT_EQ(result["summary"]["pass"], 3);
  ASSERT_EQ(result["datagrams"].size(), 2u);  // in the second after the last packet
  EXPECT_EQ(result["datagrams"][0]["to"], "192.0.2.99");
  json report = json::parse(result["datagrams"][0]["text"].get<std::string>());
  EXPECT_EQ(report["counts"], json::parse(R"([["192.0.2.1","198.51.100.7",63,3]])"));
}

// The run ends there and is no success; what became of the packets so far is told all the same.
TEST_F(ModuleRun, ATrapIsToldWithWhatCameBeforeIt) {
  capture({udp("a"), udp("b")});
  options_.wasm = folder_->path() + "/trapper.wasm";
  options_.batch = 1;
  const Bytes wasm = test::with_manifest(test::packet_module(R"((global $n (mut i32) (i32.const 0))
      (func (export "netserv_process") (param i32)
        (if (global.get $n) (then unreachable)) (global.set $n (i32.const 1))))"));
  std::ofstream(options_.wasm, std::ios::binary).write(as_text(wasm).data(), static_cast<std::streamsize>(wasm.size()));
  std::ostringstream out;
  auto ran = run_module(options_, out);
  ASSERT_TRUE(ran) << ran.error().message();
  EXPECT_FALSE(*ran);
  json result = json::parse(out.str());
  EXPECT_EQ(result["packets"][0]["verdict"], "pass");
  EXPECT_NE(result.dump().find("unreachable"), std::string::npos) << result;
  EXPECT_EQ(written().size(), 2u);
}

TEST_F(ModuleRun, BadPropertiesAreARefusal) {
  options_.properties = {{"swap", "maybe"}};
  capture({udp("a")});
  options_.wasm = NETSERV_BINARY_DIR "/modules/keepalive.wasm";
  std::ostringstream out;
  auto ran = run_module(options_, out);
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().code, 3) << ran.error().message();
}

TEST_F(ModuleRun, MissingAndBrokenFilesAreNamed) {
  std::ostringstream out;
  options_.wasm = NETSERV_BINARY_DIR "/modules/keepalive.wasm";
  auto absent = run_module(options_, out);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().subject, options_.pcap);
  capture({udp("a")});
  options_.wasm = options_.pcap;
  auto no_module = run_module(options_, out);
  ASSERT_FALSE(no_module);
  EXPECT_EQ(no_module.error().code, 3) << no_module.error().message();
}

}  // namespace
}  // namespace netserv::cli
