// Both helpers whole, against a server on loopback.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "fetch/confine.h"
#include "fetch/helper.h"
#include "fetch/notifier.h"
#include "fetch/test_server.h"
#include "wire/ncm/status.h"

namespace netserv::fetch {
namespace {

using ncm::StatusCode;
namespace fs = std::filesystem;

constexpr const char* kHelloDigest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

class Download : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/netserv-fetch-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
    fs::permissions(folder_, fs::perms::all);
  }
  void TearDown() override { fs::remove_all(folder_); }

  FetchJob job(const std::string& path) {
    FetchJob job;
    job.url = server_.url(path);
    job.output = folder_ / "module";
    job.rules.allowed = {*Prefix::parse("127.0.0.0/8")};
    return job;
  }
  Result<Fetched> run(const FetchJob& job) {
    lines_.clear();
    bool ok = run_helper(job, [&](std::string_view line) { lines_.emplace_back(line); });
    EXPECT_EQ(ok, fs::exists(job.output));
    return decode_answer(lines_.back());
  }
  void expect_refused(const FetchJob& job, StatusCode code, std::string_view words) {
    auto answer = run(job);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, number(code)) << answer.error().message();
    EXPECT_EQ(answer.error().subject, job.url);
    EXPECT_NE(answer.error().text.find(words), std::string::npos) << answer.error().text;
    EXPECT_FALSE(fs::exists(job.output)) << "a partial file was left";
  }

  TestServer server_;
  fs::path folder_;
  std::vector<std::string> lines_;
};

TEST_F(Download, WritesTheFileAndSaysItsDigest) {
  FetchJob ok = job("/ok");
  ok.sha256 = kHelloDigest;
  auto answer = run(ok);
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(answer->bytes, 5u);
  EXPECT_EQ(answer->sha256, kHelloDigest);
  std::ifstream file(ok.output);
  std::string text;
  file >> text;
  EXPECT_EQ(text, "hello");
  Progress progress;
  ASSERT_GT(lines_.size(), 1u) << "how far it is, then the answer";
  ASSERT_TRUE(decode_progress(lines_.front(), progress)) << lines_.front();
  EXPECT_EQ(progress.total, 5u);
}

TEST_F(Download, FollowsRedirectsUpToItsCap) {
  FetchJob hop = job("/hop");
  hop.output += "-hop";
  EXPECT_TRUE(run(hop));
  expect_refused(job("/loop"), StatusCode::kFetchFailed, "redirects more than 3 times");
}

TEST_F(Download, RefusesAddressesBeforeConnecting) {
  FetchJob own = job("/ok");
  own.rules.own = {*Prefix::parse("127.0.0.1/32")};
  expect_refused(own, StatusCode::kAddressRefused, "127.0.0.1");
  FetchJob loopback = job("/ok");
  loopback.rules.allowed.clear();
  expect_refused(loopback, StatusCode::kAddressRefused, "127.0.0.1");
  expect_refused(job("/inside"), StatusCode::kAddressRefused, "169.254.169.254");
}

TEST_F(Download, KnowsOnlyHttpAndHttps) {
  expect_refused(job("/file"), StatusCode::kFetchFailed, "");
  FetchJob file = job("");
  file.url = "file:///etc/passwd";
  expect_refused(file, StatusCode::kFetchFailed, "");
}

TEST_F(Download, NamesWhatTheServerDidWrong) {
  expect_refused(job("/missing"), StatusCode::kFetchFailed, "HTTP 404");
  expect_refused(job("/empty"), StatusCode::kFetchFailed, "HTTP 204");
  expect_refused(job("/cut"), StatusCode::kFetchFailed, "");
  expect_refused(job("/garbage"), StatusCode::kFetchFailed, "");
  FetchJob nobody = job("");
  nobody.url = "http://127.0.0.1:1/x";
  expect_refused(nobody, StatusCode::kFetchFailed, "connect");
  FetchJob senseless = job("");
  senseless.url = "http://";
  expect_refused(senseless, StatusCode::kFetchFailed, "");
}

TEST_F(Download, StopsAtTheSizeCapWhateverTheServerAnnounces) {
  for (const char* path : {"/big", "/announced"}) {
    FetchJob big = job(path);
    big.max_bytes = kBigBytes - 1;
    expect_refused(big, StatusCode::kModuleTooLarge, "99999 bytes");
  }
  FetchJob exact = job("/big");
  exact.max_bytes = kBigBytes;
  EXPECT_TRUE(run(exact));
}

TEST_F(Download, StopsAtHeadersWithoutEnd) {
  for (const char* path : {"/headers", "/interim"})
    expect_refused(job(path), StatusCode::kFetchFailed, "headers without end");
}

TEST_F(Download, GivesUpOnASlowServer) {
  FetchJob slow = job("/slow");
  slow.deadline = std::chrono::milliseconds(300);
  expect_refused(slow, StatusCode::kFetchTimeout, "took too long");
  FetchJob trickle = job("/slow");  // long before the deadline
  trickle.slow_for = std::chrono::seconds(1);
  expect_refused(trickle, StatusCode::kFetchTimeout, "too slow");
}

TEST_F(Download, RefusesAnotherDigestThanTheSignedOne) {
  FetchJob other = job("/ok");
  other.sha256 = std::string(64, '0');
  expect_refused(other, StatusCode::kDigestMismatch, "signed was 0000");
}

TEST_F(Download, SaysThatTheDiskIsFull) {
  ASSERT_EQ(::getuid(), 0u) << "the tests run as root";
  fs::path disk = folder_ / "disk";
  fs::create_directory(disk);
  ASSERT_EQ(::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=16k"), 0);
  FetchJob big = job("/big");
  big.output = disk / "module";
  expect_refused(big, StatusCode::kOverloaded, "disk is full");
  ::umount2(disk.c_str(), MNT_DETACH);
}

TEST_F(Download, NeverOverwrites) {
  FetchJob ok = job("/ok");
  std::ofstream(ok.output) << "mine";
  bool done = run_helper(ok, [&](std::string_view line) { lines_.emplace_back(line); });
  EXPECT_FALSE(done);
  EXPECT_EQ(fs::file_size(ok.output), 4u) << "and does not remove what it did not make";
}

TEST_F(Download, SpeaksTlsAndChecksTheCertificate) {
  std::string make = "cd " + folder_.string() +
                     " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem "
                     "-out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null "
                     "&& printf hello > m.wasm";
  ASSERT_EQ(std::system(make.c_str()), 0);
  // A free port: bound, read, let go.
  std::uint16_t port = 0;
  {
    sys::UniqueFd probe(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    port = ntohs(address.sin_port);
  }
  int says[2];
  ASSERT_EQ(::pipe(says), 0);
  pid_t server = ::fork();
  if (server == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::chdir(folder_.c_str()) != 0) ::_exit(1);
    ::dup2(says[1], 1);
    std::string accept = "127.0.0.1:" + std::to_string(port);
    ::execlp("openssl", "openssl", "s_server", "-accept", accept.c_str(), "-cert", "cert.pem", "-key", "key.pem",
             "-WWW", nullptr);
    ::_exit(1);
  }
  char buffer[256];
  std::string said;
  ::close(says[1]);
  while (said.find("ACCEPT") == std::string::npos) {
    ssize_t n = ::read(says[0], buffer, sizeof buffer);
    ASSERT_GT(n, 0) << "openssl s_server did not start";
    said.append(buffer, static_cast<std::size_t>(n));
  }
  FetchJob job = this->job("");
  job.url = "https://127.0.0.1:" + std::to_string(port) + "/m.wasm";
  expect_refused(job, StatusCode::kFetchFailed, "certificate");
  job.ca_file = folder_ / "cert.pem";
  auto answer = run(job);
  EXPECT_TRUE(answer) << answer.error().message();
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
  ::close(says[0]);
}

TEST_F(Download, TheConfinedHalfIsNobodyAndWritesNoFiles) {
  pid_t child = ::fork();
  if (child == 0) {
    if (!confine_web_client({}, "", Limits{1 << 20, std::chrono::seconds(5)})) ::_exit(1);
    bool nobody = ::getuid() != 0 && ::setuid(0) != 0;
    bool no_write = ::open((folder_ / "new").c_str(), O_CREAT | O_WRONLY, 0600) < 0;
    bool no_read = ::open("/etc/passwd", O_RDONLY) < 0;
    bool bounded = false;  // threads, which it may have, are not for filling up the machine
    pthread_attr_t small;
    ::pthread_attr_init(&small);
    ::pthread_attr_setstacksize(&small, 64 * 1024);
    for (int i = 0; i < 1200 && !bounded; ++i) {
      pthread_t thread;
      bounded = ::pthread_create(&thread, &small, [](void*) -> void* { return ::pause(), nullptr; }, nullptr) != 0;
    }
    char* const arguments[] = {const_cast<char*>("true"), nullptr};
    ::execv("/usr/bin/true", arguments);  // only returns if it was refused
    ::_exit(nobody && no_write && no_read && bounded ? 42 : 2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 42);
}

TEST_F(Download, NotificationsArrivePostedAsJsonLines) {
  int to_helper[2], from_helper[2];
  ASSERT_EQ(::pipe(to_helper), 0);
  ASSERT_EQ(::pipe(from_helper), 0);
  FetchJob take = job("/take");
  pid_t helper = ::fork();
  if (helper == 0) {
    ::close(to_helper[1]);
    ::_exit(run_notifier(take, to_helper[0], from_helper[1], "{\"event\":\"installed\"}\n") ? 0 : 1);
  }
  ::close(to_helper[0]);
  ::close(from_helper[1]);
  std::string received;
  auto read_until = [&](std::string_view what) {
    char buffer[4096];
    while (received.find(what) == std::string::npos) {
      ssize_t n = ::read(server_.bodies(), buffer, sizeof buffer);
      ASSERT_GT(n, 0);
      received.append(buffer, static_cast<std::size_t>(n));
    }
  };
  read_until("{\"event\":\"installed\"}\n");
  EXPECT_NE(received.find("application/x-ndjson"), std::string::npos);
  ASSERT_GT(::write(to_helper[1], "{\"event\":\"removed\"}\n", 20), 0);
  read_until("{\"event\":\"removed\"}\n");
  ::close(to_helper[1]);
  int status = 0;
  ::waitpid(helper, &status, 0);
  EXPECT_EQ(status, 0);
  ::close(from_helper[0]);
}

}  // namespace
}  // namespace netserv::fetch
