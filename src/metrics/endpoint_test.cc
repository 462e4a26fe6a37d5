#include "metrics/endpoint.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <limits>

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

TEST(Endpoint, AScrapeGetsTheLastSnapshot) {
  std::uint16_t port = free_port();
  auto endpoint = Endpoint::start("127.0.0.1:" + std::to_string(port));
  ASSERT_TRUE(endpoint) << endpoint.error().message();
  Family counter{"netserv_traps_total", "Traps", Family::Type::kCounter, {{{{"module", "m"}}, 3, {}}}};
  Family histogram{"netserv_install_seconds", "Durations", Family::Type::kHistogram,
                   {{{}, 1.5, {{1, 1}, {std::numeric_limits<double>::infinity(), 2}}}}};
  (*endpoint)->publish({counter, histogram});
  std::string page = scrape(port);
  EXPECT_NE(page.find("netserv_traps_total{module=\"m\"} 3"), std::string::npos) << page;
  EXPECT_NE(page.find("netserv_install_seconds_count 2"), std::string::npos) << page;
}

TEST(Endpoint, AnAddressThatCannotBeHadIsAnError) {
  auto endpoint = Endpoint::start("192.0.2.77:1");
  ASSERT_FALSE(endpoint);
  EXPECT_EQ(endpoint.error().subject, "metrics.listen");
}

}  // namespace
}  // namespace netserv::metrics
