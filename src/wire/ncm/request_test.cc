#include "wire/ncm/request.h"

#include <gtest/gtest.h>

#include <random>

#include "wire/ncm/status.h"

namespace netserv::ncm {
namespace {

// As the paper prints it; its signature is no base64, which is the authenticator's to refuse.
constexpr std::string_view kFigure3 =
    "SETUP NetServ.apps.NetMonitor_1.0.0 NETSERV/0.1\n"
    "dependencies:\n"
    "filter-port:5060\n"
    "filter-PROTO:udp\n"
    "notification:\n"
    "properties:visualizer_ip=1.2.3.4,visualizer_port=5678\n"
    "ttl:3600\n"
    "user:janedoe\n"
    "url:http://content-publisher.com/modules/netmonitor.jar\n"
    "signature:4Z+HvDEm2WhHJrg9UKovwmMutxGibsA71FTMFykVa0Y\\xGc1G8o=\n"
    "\n";

Result<Request> parse(std::string_view text) {
  auto message = parse_message(text);
  if (!message) return fail(message.error());
  return parse_request(*message);
}
Result<Request> setup_with(std::string_view headers) {
  return parse("SETUP m_1 NETSERV/0.1\nurl:http://x/m.wasm\n" + std::string(headers) + "\n\n");
}
std::string refusal(const Result<Request>& r) {
  if (r) return "accepted";
  return std::to_string(r.error().code) + " " + r.error().subject;
}

TEST(Request, Figure3) {
  auto r = parse(kFigure3);
  ASSERT_TRUE(r) << r.error().message();
  const auto& s = std::get<ncm::Setup>(r->body);
  EXPECT_EQ(s.module, (ModuleName{"NetServ.apps.NetMonitor", "1.0.0"}));
  EXPECT_EQ(s.ttl, std::chrono::seconds(3600));
  EXPECT_EQ(s.filter.expand(), (std::vector<Filter>{{kProtocolUdp, 5060, std::nullopt, std::nullopt}}));
  EXPECT_EQ(s.properties.module.at("visualizer_ip"), "1.2.3.4");
  EXPECT_EQ(s.properties.module.at("visualizer_port"), "5678");
  EXPECT_EQ(s.url, "http://content-publisher.com/modules/netmonitor.jar");
  EXPECT_EQ(r->signer.user, "janedoe");
  EXPECT_TRUE(s.dependencies.empty() && s.notification.empty() && !s.digest);
  EXPECT_TRUE(needs_signature(*r));
}

TEST(Request, Filters) {
  auto r = setup_with("filter-proto:TCP, Udp\nfilter-port:80,443\nfilter-src:10.0.0.0/8,2001:db8::/32\nfilter-dst:192.0.2.1");
  ASSERT_TRUE(r) << r.error().message();
  auto filters = std::get<ncm::Setup>(r->body).filter.expand();
  EXPECT_EQ(filters.size(), 4u);  // the IPv6 source goes with no destination
  EXPECT_EQ(filters[0], (Filter{kProtocolTcp, 80, *Prefix::parse("10.0.0.0/8"), *Prefix::parse("192.0.2.1/32")}));
  EXPECT_TRUE(std::get<ncm::Setup>(setup_with("ttl:5")->body).filter.expand().empty());

  EXPECT_EQ(refusal(setup_with("filter-port:80")), "306 filter-port");
  EXPECT_EQ(refusal(setup_with("filter-port:80\nfilter-proto:udp,icmp")), "306 filter-port");
  EXPECT_EQ(refusal(setup_with("filter-port:0\nfilter-proto:udp")), "306 filter-port");
  EXPECT_EQ(refusal(setup_with("filter-port:65536\nfilter-proto:udp")), "306 filter-port");
  EXPECT_EQ(refusal(setup_with("filter-port:80,\nfilter-proto:udp")), "306 filter-port");
  EXPECT_EQ(refusal(setup_with("filter-port:80,80\nfilter-proto:udp")), "306 filter-port");
  EXPECT_EQ(refusal(setup_with("filter-proto:256")), "306 filter-proto");
  EXPECT_EQ(refusal(setup_with("filter-proto:quux")), "306 filter-proto");
  EXPECT_EQ(refusal(setup_with("filter-src:10.0.0.1/8")), "306 filter-src");
  EXPECT_EQ(refusal(setup_with("filter-src:10.0.0.1\nfilter-dst:::1")), "306 filter-src");
  std::string many = "filter-proto:udp\nfilter-port:1";
  for (int i = 2; i <= 65; ++i) many += "," + std::to_string(i);
  EXPECT_EQ(refusal(setup_with(many)), "307 filter-port");
}

TEST(Request, PropertiesEscapes) {
  auto p = parse_properties(R"( a = 1\,2 , b\=c=x\\y , netserv.order=-3,netserv.mode=observe,netserv.fail=closed,e= )");
  ASSERT_TRUE(p) << p.error().message();
  EXPECT_EQ(p->module, (std::map<std::string, std::string>{{"a", "1,2"}, {"b=c", "x\\y"}, {"e", ""}}));
  EXPECT_EQ(p->node.order, -3);
  EXPECT_EQ(p->node.mode, PathMode::kObserver);
  EXPECT_EQ(p->node.fail, FailMode::kClosed);
  for (std::string_view text : {"a", "=1", "a=1,", ",a=1", "a=1,a=2", "netserv.order=x", "netserv.mode=x",
                                "netserv.snaplen=19", "netserv.sample=0", "netserv.fail=x", "netserv.else=1"})
    EXPECT_FALSE(parse_properties(text)) << text;
}

TEST(Request, ValuesOutOfRange) {
  EXPECT_EQ(refusal(setup_with("ttl:0")), "306 ttl");
  EXPECT_EQ(refusal(setup_with("ttl:1e9")), "306 ttl");
  EXPECT_EQ(refusal(setup_with("ttl:99999999999999999999")), "306 ttl");
  EXPECT_EQ(refusal(setup_with("digest:00")), "306 digest");
  EXPECT_EQ(refusal(setup_with("nonce:short")), "306 nonce");
  EXPECT_EQ(refusal(setup_with("nonce:with blank")), "306 nonce");
  EXPECT_EQ(refusal(setup_with("expires:tomorrow")), "306 expires");
  EXPECT_EQ(refusal(setup_with("toward:example.com")), "306 toward");
  EXPECT_EQ(refusal(setup_with("user:a/b")), "306 user");
  EXPECT_EQ(refusal(setup_with("notification:ftp://x/")), "306 notification");
  EXPECT_EQ(refusal(setup_with("notification:http://u:p@x/")), "306 notification");
  EXPECT_EQ(refusal(setup_with("notification:http:///x")), "306 notification");
  EXPECT_EQ(refusal(setup_with("dependencies:packet")), "306 dependencies");
  EXPECT_EQ(refusal(setup_with("dependencies:packet/1,packet/1")), "306 dependencies");
  EXPECT_EQ(refusal(setup_with("x-unknown:1")), "303 x-unknown");
  EXPECT_EQ(refusal(parse("SETUP m_1 NETSERV/0.1\n\n")), "305 url");
  EXPECT_EQ(refusal(parse("SETUP m NETSERV/0.1\nurl:http://x/\n\n")), "306 id");
  EXPECT_EQ(refusal(parse("SETUP ../m_1 NETSERV/0.1\nurl:http://x/\n\n")), "306 id");
  EXPECT_EQ(refusal(parse("REMOVE m_1 NETSERV/0.1\nttl:5\n\n")), "303 ttl");
  EXPECT_EQ(refusal(parse("PROBE m_1 NETSERV/0.1\nprobe:node\n\n")), "306 id");
  EXPECT_EQ(refusal(parse("PROBE * NETSERV/0.1\nprobe:weather\n\n")), "306 probe");
  EXPECT_EQ(refusal(parse("TRIGGER m_1 NETSERV/0.1\n\n")), "302 first line");
}

TEST(Request, VersionFollowsTheLastUnderscore) {
  EXPECT_EQ(*parse_module_name("a_b_1.2"), (ModuleName{"a_b", "1.2"}));
  EXPECT_EQ(*parse_module_name("a_b"), (ModuleName{"a_b", ""}));
  EXPECT_TRUE(parse_module_name("a")->covers(*parse_module_name("a_2")));
  EXPECT_FALSE(parse_module_name("a_1")->covers(*parse_module_name("a_2")));
}

TEST(Request, AnIdIsHeldAgainstTheManifest) {
  auto same = [](std::string_view id, std::string_view name, std::string_view version) {
    return !other_module(*parse_module_name(id), name, version);
  };
  EXPECT_TRUE(same("NetServ.apps.NetMonitor_1.0.0", "NetServ.apps.NetMonitor", "1.0.0"));
  EXPECT_TRUE(same("NetMonitor_1.0.0", "NetServ.apps.NetMonitor", "1.0.0"));
  EXPECT_TRUE(same("apps.NetMonitor_1.0.0", "NetServ.apps.NetMonitor", "1.0.0"));
  EXPECT_TRUE(same("NetServ.apps.NetMonitor_1.0.0", "NetMonitor", "1.0.0"));
  EXPECT_FALSE(same("NetMonitor_1.0.1", "NetMonitor", "1.0.0"));
  EXPECT_FALSE(same("NetMonitor_1.0", "NetMonitor", "1.0.0"));
  EXPECT_FALSE(same("Monitor_1.0.0", "NetMonitor", "1.0.0")) << "not a whole part";
  EXPECT_FALSE(same("NetServ_1.0.0", "NetServ.apps.NetMonitor", "1.0.0")) << "not the last part";
  EXPECT_FALSE(same("other.NetMonitor_1.0.0", "NetServ.NetMonitor", "1.0.0"));
  EXPECT_FALSE(same("netmonitor_1.0.0", "NetMonitor", "1.0.0"));
  EXPECT_EQ(other_module(*parse_module_name("a_2"), "b", "1")->message(),
            "manifest: the id is a_2, but the module says that it is b_1");
}

TEST(Request, UnsignedProbes) {
  EXPECT_FALSE(needs_signature(*parse("PROBE * NETSERV/0.1\nprobe:node\n\n")));
  EXPECT_FALSE(needs_signature(*parse("PROBE * NETSERV/0.1\nprobe:Capabilities\n\n")));
  EXPECT_TRUE(needs_signature(*parse("PROBE * NETSERV/0.1\nprobe:policy\n\n")));
  EXPECT_TRUE(needs_signature(*parse("PROBE m NETSERV/0.1\n\n")));
  EXPECT_TRUE(needs_signature(*parse("REMOVE m NETSERV/0.1\n\n")));
}

class RandomRequest {
 public:
  explicit RandomRequest(unsigned seed) : rng_(seed) {}
  std::string word(std::string_view alphabet, std::size_t least, std::size_t most) {
    std::string out;
    for (std::size_t n = least + rng_() % (most - least + 1); n > 0; --n) out += alphabet[rng_() % alphabet.size()];
    return out;
  }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(rng_() % n); }
  bool coin() { return below(2) == 1; }

  Setup setup() {
    Setup s;
    s.module = {word("abC-._", 0, 10).insert(0, "m"), word("123.ab", 0, 5).insert(0, "7")};
    s.url = "https://h" + word("ab1./?=&:", 0, 20);
    s.ttl = std::chrono::seconds(1 + below(100000));
    if (coin()) s.digest.emplace().fill(std::byte(below(256)));
    if (coin()) s.notification = "http://n/" + word("ab", 0, 5);
    for (std::uint32_t n = below(4); n > 0; --n) s.dependencies.push_back("block" + std::to_string(n) + "/1");
    for (std::uint32_t n = below(4); n > 0; --n)
      s.properties.module[word("ab,=\\. ", 0, 6).insert(0, "k")] = word("ab,=\\ ;:", 0, 8);
    s.properties.node.order = static_cast<std::int32_t>(below(10)) - 5;
    if (coin()) s.properties.node.mode = coin() ? PathMode::kInPath : PathMode::kObserver;
    if (coin()) s.properties.node.snaplen = static_cast<std::uint16_t>(20 + below(2000));
    if (coin()) s.properties.node.sample = 1 + below(1000);
    if (coin()) s.properties.node.fail = FailMode::kClosed;
    if (coin()) s.filter.protocols = {kProtocolUdp, kProtocolTcp};
    if (!s.filter.protocols.empty() && coin()) s.filter.ports = {static_cast<std::uint16_t>(1 + below(65535))};
    if (coin()) s.filter.destinations = {Prefix(IpAddress::v4(below(0xffffffff)), below(33))};
    return s;
  }
  Signer signer() {
    Signer out;
    if (coin()) out.user = word("janedoe", 1, 8);
    if (coin()) out.nonce = word("0123456789abcdef", 8, 32);
    if (coin()) out.expires = WallTime(std::chrono::seconds(below(2000000000)));
    if (coin()) out.toward = IpAddress::v4(below(0xffffffff));
    if (coin()) out.signature = word("abcXYZ+/=", 1, 88);
    return out;
  }

 private:
  std::mt19937 rng_;
};

TEST(Request, ToMessageAndParseAreInverse) {
  RandomRequest random(4);
  for (int i = 0; i < 2000; ++i) {
    Signer signer = random.signer();
    std::variant<ncm::Setup, Remove, Probe> body = random.setup();
    if (i % 3 == 1) body = Remove{{"m", random.coin() ? "1" : ""}};
    if (i % 3 == 2) body = Probe{ProbeKind::kModule, random.coin() ? std::optional(ModuleName{"m", "2"}) : std::nullopt};
    std::string text = print_message(to_message(body, signer));
    auto back = parse(text);
    ASSERT_TRUE(back) << text << back.error().message();
    EXPECT_EQ(back->body, body) << text;
    EXPECT_EQ(back->signer, signer) << text;
  }
}

}  // namespace
}  // namespace netserv::ncm
