#include "metrics/endpoint.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <limits>
#include <thread>

#include "sys/inbox.h"

namespace netserv::metrics {
namespace {

// A port that is free now.
std::uint16_t free_port() {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t n = sizeof a;
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &n), 0);
  ::close(fd);
  return ntohs(a.sin_port);
}

std::string scrape(std::uint16_t port) {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a.sin_port = htons(port);
  std::string out;
  const std::string get = "GET /metrics HTTP/1.0\r\n\r\n";
  if (::connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0 && ::send(fd, get.data(), get.size(), 0) > 0) {
    char buffer[4096];
    for (ssize_t got; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) out.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return out;
}

struct EndpointTest : ::testing::Test {
  sys::EventLoop loop;
  const std::uint16_t port = free_port();
  int made = 0;
  std::unique_ptr<Endpoint> endpoint;

  void start(Duration age, Duration patience = std::chrono::seconds(60)) {
    Family counter{"netserv_traps_total", "Traps", Family::Type::kCounter, {}};
    Family histogram{"netserv_install_seconds", "Durations", Family::Type::kHistogram,
                     {{{}, 1.5, {{1, 1}, {std::numeric_limits<double>::infinity(), 2}}}}};
    auto make = [this, counter, histogram]() mutable {
      counter.samples = {{{{"module", "m"}}, static_cast<double>(++made), {}}};
      return std::vector{counter, histogram};
    };
    auto started = Endpoint::start(loop, "127.0.0.1:" + std::to_string(port), age, make, patience);
    ASSERT_TRUE(started) << started.error().message();
    endpoint = std::move(*started);
  }
  // Two, one after the other, while the loop runs.
  std::pair<std::string, std::string> two_scrapes() {
    std::pair<std::string, std::string> pages;
    sys::Inbox inbox(loop);
    std::thread scraper([&] {
      pages.first = scrape(port);
      pages.second = scrape(port);
      inbox.post([this] { loop.stop(); });
    });
    loop.run();
    scraper.join();
    return pages;
  }
};

TEST_F(EndpointTest, ASnapshotIsMadeForTheScrapeThatFindsNoneOfItsAge) {
  start(std::chrono::hours(1));
  auto [first, second] = two_scrapes();
  EXPECT_EQ(made, 1);
  for (const std::string& page : {first, second}) {
    EXPECT_NE(page.find("netserv_traps_total{module=\"m\"} 1"), std::string::npos) << page;
    EXPECT_NE(page.find("netserv_install_seconds_count 2"), std::string::npos) << page;
  }
}

TEST_F(EndpointTest, AnOldSnapshotIsNotServedAgain) {
  start(Duration(0));
  EXPECT_EQ(made, 0) << "nobody has asked";
  auto [first, second] = two_scrapes();
  EXPECT_NE(first.find("netserv_traps_total{module=\"m\"} 1"), std::string::npos) << first;
  EXPECT_NE(second.find("netserv_traps_total{module=\"m\"} 2"), std::string::npos) << second;
}

TEST_F(EndpointTest, ALoopThatStandsStillLeavesTheScrapeEmpty) {
  start(Duration(0), std::chrono::milliseconds(1));
  std::string page = scrape(port);
  EXPECT_NE(page.find("200 OK"), std::string::npos) << page;
  EXPECT_EQ(page.find("netserv_traps_total"), std::string::npos) << page;
}

TEST_F(EndpointTest, ItsEndDoesNotWaitForAScrapeThatNobodyAnswers) {
  start(Duration(0), std::chrono::hours(1));
  std::thread scraper([&] { scrape(port); });
  endpoint.reset();  // before, during or after it: neither hangs
  scraper.join();
}

TEST(Endpoint, AnAddressThatCannotBeHadIsAnError) {
  sys::EventLoop loop;
  auto endpoint = Endpoint::start(loop, "192.0.2.77:1", Duration(0), [] { return std::vector<Family>(); });
  ASSERT_FALSE(endpoint);
  EXPECT_EQ(endpoint.error().subject, "metrics.listen");
}

}  // namespace
}  // namespace netserv::metrics
