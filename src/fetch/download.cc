#include "fetch/download.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/bytes.h"
#include "fetch/web_client.h"
#include "wire/ncm/status.h"

namespace netserv::fetch {
namespace {

using ncm::StatusCode;

class Sink {
 public:
  Sink(const FetchJob& job, int output) : job_(job), output_(output), hash_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(hash_, EVP_sha256(), nullptr);
  }
  ~Sink() { EVP_MD_CTX_free(hash_); }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // libcurl's write callback: anything but `n` ends the transfer.
  static std::size_t on_data(char* data, std::size_t, std::size_t n, void* self) {
    return static_cast<Sink*>(self)->take(data, n) ? n : 0;
  }

  std::uint64_t bytes() const { return bytes_; }
  bool too_large() const { return too_large_; }
  int disk_error() const { return disk_error_; }
  std::string sha256() {
    std::byte digest[32];
    unsigned length = 0;
    EVP_DigestFinal_ex(hash_, reinterpret_cast<unsigned char*>(digest), &length);
    return to_hex(digest);
  }

 private:
  bool take(const char* data, std::size_t n) {
    if (bytes_ + n > job_.max_bytes) return !(too_large_ = true);
    EVP_DigestUpdate(hash_, data, n);
    bytes_ += n;
    while (n > 0) {
      ssize_t written = ::write(output_, data, n);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        disk_error_ = written < 0 ? errno : EIO;
        return false;
      }
      data += written;
      n -= static_cast<std::size_t>(written);
    }
    return true;
  }

  const FetchJob& job_;
  int output_;
  EVP_MD_CTX* hash_;
  std::uint64_t bytes_ = 0;
  bool too_large_ = false;
  int disk_error_ = 0;
};

struct Watcher {
  const std::function<void(std::uint64_t, std::uint64_t)>& on_progress;
  std::chrono::steady_clock::time_point told{};

  static int on_transfer(void* self, curl_off_t total, curl_off_t now, curl_off_t, curl_off_t) {
    auto& watcher = *static_cast<Watcher*>(self);
    auto clock = std::chrono::steady_clock::now();
    if (now > 0 && clock - watcher.told >= std::chrono::milliseconds(200)) {
      watcher.told = clock;
      watcher.on_progress(static_cast<std::uint64_t>(now), static_cast<std::uint64_t>(total));
    }
    return 0;
  }
};

std::string disk_text(int error_number) {
  if (error_number == ENOSPC || error_number == EDQUOT) return "the node's disk is full";
  return std::string("writing failed: ") + std::strerror(error_number);
}

}  // namespace

Result<Fetched> download(const FetchJob& job, int output,
                         const std::function<void(std::uint64_t, std::uint64_t)>& on_progress) {
  WebClient client(job.rules, job.ca_file, job.max_redirects, job.deadline);
  Sink sink(job, output);
  Watcher watcher{on_progress};
  CURL* curl = client.handle();
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Sink::on_data);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(job.max_bytes));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(job.slow_bytes_per_second));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(job.slow_for.count()));
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Watcher::on_transfer);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &watcher);

  CURLcode code = client.perform(job.url);
  if (sink.disk_error() != 0) return ncm::refuse(StatusCode::kOverloaded, job.url, disk_text(sink.disk_error()));
  if (sink.too_large() || code == CURLE_FILESIZE_EXCEEDED)
    return ncm::refuse(StatusCode::kModuleTooLarge, job.url,
                       "is larger than the " + std::to_string(job.max_bytes) + " bytes allowed here");
  if (client.refused()) return ncm::refuse(StatusCode::kAddressRefused, job.url, "leads to " + *client.refused());
  if (code == CURLE_OPERATION_TIMEDOUT)
    return ncm::refuse(StatusCode::kFetchTimeout, job.url, "took too long: " + client.error_text(code));
  if (code == CURLE_TOO_MANY_REDIRECTS)
    return ncm::refuse(StatusCode::kFetchFailed, job.url,
                       "redirects more than " + std::to_string(job.max_redirects) + " times");
  if (code == CURLE_HTTP_RETURNED_ERROR)
    return ncm::refuse(StatusCode::kFetchFailed, job.url,
                       "the server answered HTTP " + std::to_string(client.http_status()));
  if (code != CURLE_OK) return ncm::refuse(StatusCode::kFetchFailed, job.url, client.error_text(code));
  if (client.http_status() != 200)
    return ncm::refuse(StatusCode::kFetchFailed, job.url,
                       "the server answered HTTP " + std::to_string(client.http_status()) + ", 200 is needed");

  Fetched fetched{sink.bytes(), sink.sha256()};
  if (!job.sha256.empty() && fetched.sha256 != job.sha256)
    return ncm::refuse(StatusCode::kDigestMismatch, job.url,
                       "has sha-256 " + fetched.sha256 + ", signed was " + job.sha256);
  if (::fsync(output) != 0) return ncm::refuse(StatusCode::kOverloaded, job.url, disk_text(errno));
  return fetched;
}

}  // namespace netserv::fetch
