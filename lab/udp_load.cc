// udp_load: a UDP source and sink for the lab that keeps count.
//
//   udp_load send ADDRESS PORT RATE SECONDS [BYTES]   RATE datagrams a second, in steps of a millisecond
//   udp_load count ADDRESS PORT                       counts what arrives until SIGTERM
//   udp_load echo ADDRESS PORT                        the same, and sends each datagram back
//
// Each datagram starts with a 64-bit sequence number, network order. Counting prints one line of JSON at the end,
// and whenever SIGUSR1 asks: datagrams, distinct sequence numbers, duplicates, the longest gap in milliseconds
// between two arrivals. SIGTERM ends a sender early. Both print "ready" first.
#include <arpa/inet.h>
#include <endian.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr unsigned kBatch = 64;
constexpr std::size_t kMaxBytes = 2048;

volatile sig_atomic_t stop = 0;
volatile sig_atomic_t report = 0;

std::uint64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return std::uint64_t(t.tv_sec) * 1'000'000'000 + std::uint64_t(t.tv_nsec);
}

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

addrinfo* resolve(const char* address, const char* port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (int e = getaddrinfo(address, port, &hints, &found); e != 0) {
    std::fprintf(stderr, "%s: %s\n", address, gai_strerror(e));
    std::exit(2);
  }
  return found;
}

struct Batch {
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(kBatch * kMaxBytes);
  std::vector<iovec> io = std::vector<iovec>(kBatch);
  std::vector<sockaddr_storage> peers = std::vector<sockaddr_storage>(kBatch);
  std::vector<mmsghdr> messages = std::vector<mmsghdr>(kBatch);

  void reset(std::size_t length) {
    for (unsigned i = 0; i < kBatch; i++) {
      io[i] = {bytes.data() + i * kMaxBytes, length};
      messages[i] = {};
      messages[i].msg_hdr.msg_iov = &io[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
};

int send_load(const addrinfo* to, double rate, double seconds, std::size_t length) {
  int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int buffer = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) != 0) die("connect");
  Batch batch;
  batch.reset(length);
  std::puts("ready");
  std::fflush(stdout);
  std::uint64_t sent = 0, errors = 0;
  const std::uint64_t start = now_ns();
  const std::uint64_t total = std::uint64_t(rate * seconds);
  while (!stop && sent < total) {
    std::uint64_t due = std::min(total, std::uint64_t(double(now_ns() - start) * rate / 1e9) + 1);
    while (sent < due) {
      unsigned n = unsigned(std::min<std::uint64_t>(kBatch, due - sent));
      for (unsigned i = 0; i < n; i++) {
        std::uint64_t number = htobe64(sent + i);
        std::memcpy(batch.bytes.data() + i * kMaxBytes, &number, sizeof number);
      }
      int done = sendmmsg(fd, batch.messages.data(), n, 0);
      if (done > 0) {
        sent += unsigned(done);
      } else if (errno != EINTR && errno != ECONNREFUSED && ++errors > 1000) {
        die("sendmmsg");
      }
    }
    timespec pause{0, 1'000'000};
    nanosleep(&pause, nullptr);
  }
  std::printf("{\"sent\": %" PRIu64 ", \"seconds\": %.3f}\n", sent, double(now_ns() - start) / 1e9);
  return 0;
}

struct Count {
  std::uint64_t datagrams = 0, distinct = 0, duplicates = 0, bytes = 0, longest_gap_ns = 0, last_ns = 0;
  std::vector<bool> seen;

  void add(std::uint64_t number) {
    if (number >= (std::uint64_t{1} << 28)) return;  // not ours: counted as a datagram only
    if (number >= seen.size()) seen.resize(std::max<std::size_t>(number + 1, seen.size() * 2));
    if (seen[number]) {
      duplicates++;
    } else {
      seen[number] = true;
      distinct++;
    }
  }
  void print() const {
    std::printf("{\"datagrams\": %" PRIu64 ", \"distinct\": %" PRIu64 ", \"duplicates\": %" PRIu64
                ", \"bytes\": %" PRIu64 ", \"longest_gap_ms\": %.3f}\n",
                datagrams, distinct, duplicates, bytes, double(longest_gap_ns) / 1e6);
    std::fflush(stdout);
  }
};

int receive_load(const addrinfo* at, bool echo) {
  int fd = socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int buffer = 16 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  if (fd < 0 || bind(fd, at->ai_addr, at->ai_addrlen) != 0) die("bind");
  Batch batch;
  Count count;
  std::puts("ready");
  std::fflush(stdout);
  while (!stop) {
    if (report) {
      report = 0;
      count.print();
    }
    pollfd waiting{fd, POLLIN, 0};
    if (poll(&waiting, 1, 50) <= 0) continue;
    batch.reset(kMaxBytes);
    for (unsigned i = 0; i < kBatch; i++) {
      batch.messages[i].msg_hdr.msg_name = &batch.peers[i];
      batch.messages[i].msg_hdr.msg_namelen = sizeof batch.peers[i];
    }
    int n = recvmmsg(fd, batch.messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (n <= 0) continue;
    std::uint64_t now = now_ns();
    if (count.last_ns != 0) count.longest_gap_ns = std::max(count.longest_gap_ns, now - count.last_ns);
    count.last_ns = now;
    for (int i = 0; i < n; i++) {
      std::size_t length = batch.messages[i].msg_len;
      count.datagrams++;
      count.bytes += length;
      if (length >= 8) {
        std::uint64_t number = 0;
        std::memcpy(&number, batch.bytes.data() + std::size_t(i) * kMaxBytes, sizeof number);
        count.add(be64toh(number));
      }
      batch.io[i].iov_len = length;
    }
    if (echo) sendmmsg(fd, batch.messages.data(), unsigned(n), 0);
  }
  count.print();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  struct sigaction action {};
  action.sa_handler = [](int number) { (number == SIGUSR1 ? report : stop) = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
  if (argc >= 6 && std::strcmp(argv[1], "send") == 0) {
    std::size_t bytes = argc > 6 ? std::strtoul(argv[6], nullptr, 10) : 64;
    return send_load(resolve(argv[2], argv[3]), std::atof(argv[4]), std::atof(argv[5]),
                     std::clamp<std::size_t>(bytes, 8, kMaxBytes));
  }
  if (argc == 4 && std::strcmp(argv[1], "count") == 0) return receive_load(resolve(argv[2], argv[3]), false);
  if (argc == 4 && std::strcmp(argv[1], "echo") == 0) return receive_load(resolve(argv[2], argv[3]), true);
  std::fprintf(stderr, "usage: udp_load send ADDRESS PORT RATE SECONDS [BYTES] | count|echo ADDRESS PORT\n");
  return 2;
}
