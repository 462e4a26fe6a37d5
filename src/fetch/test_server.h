// A web server on loopback for the tests of this folder: a process of its own with one canned behaviour a path.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "sys/fd.h"

namespace netserv::fetch {

inline constexpr std::size_t kBigBytes = 100000;

class TestServer {
 public:
  TestServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    int fds[2];
    EXPECT_EQ(::pipe(fds), 0);
    bodies_ = sys::UniqueFd(fds[0]);
    sys::UniqueFd to_test(fds[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::signal(SIGPIPE, SIG_IGN);
      for (;;) serve(::accept(listener_.get(), nullptr, nullptr), to_test.get());
    }
  }
  ~TestServer() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
  // What the server was sent in a POST to /take, whole requests, as they came.
  int bodies() const { return bodies_.get(); }

 private:
  static void say(int fd, const std::string& text) {
    if (::write(fd, text.data(), text.size()) < 0) return;
  }

  void serve(int fd, int to_test) {
    std::string request;
    char buffer[4096];
    auto whole = [&] {
      std::size_t end = request.find("\r\n\r\n"), length_at = request.find("Content-Length: ");
      if (end == std::string::npos) return false;
      std::size_t body = length_at == std::string::npos ? 0 : std::stoul(request.substr(length_at + 16));
      return request.size() >= end + 4 + body;
    };
    while (!whole()) {
      ssize_t n = ::read(fd, buffer, sizeof buffer);
      if (n <= 0) break;
      request.append(buffer, static_cast<std::size_t>(n));
    }
    std::size_t start = request.find(' ') + 1;
    std::string path = request.substr(start, request.find(' ', start) - start);
    if (path == "/ok") say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    if (path == "/big")
      say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + std::string(kBigBytes, 'x'));
    if (path == "/announced")
      say(fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kBigBytes) + "\r\n\r\n");
    if (path == "/missing") say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    if (path == "/empty") say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    if (path == "/loop") say(fd, "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n");
    if (path == "/hop") say(fd, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
    if (path == "/inside")
      say(fd, "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n");
    if (path == "/file") say(fd, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
    if (path == "/cut") say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
    if (path == "/garbage") say(fd, "\x01\x02 nothing like HTTP\r\n\r\n");
    if (path == "/take") {
      say(to_test, request);
      say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    }
    if (path == "/headers" || path == "/interim") {
      const std::string line = path == "/headers" ? "X-Filler: " + std::string(1000, 'x') + "\r\n" : "HTTP/1.1 100 Continue\r\n\r\n";
      if (path == "/headers") say(fd, "HTTP/1.1 200 OK\r\n");
      while (::write(fd, line.data(), line.size()) > 0) {
      }
    }
    if (path == "/slow") {
      say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nh");
      while (::read(fd, buffer, sizeof buffer) > 0) {
      }
    }
    ::close(fd);
  }

  sys::UniqueFd listener_, bodies_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace netserv::fetch
