#include "fetch/notifier.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "fetch/confine.h"
#include "fetch/notify_queue.h"
#include "fetch/web_client.h"
#include "sys/clock.h"

namespace netserv::fetch {
namespace {

constexpr std::chrono::seconds kPostDeadline{5};
constexpr int kMaxRedirects = 2;
constexpr std::size_t kReadAhead = 1u << 20;

std::size_t ignore_body(char*, std::size_t, std::size_t n, void*) { return n; }

// Empty if the receiver took it.
std::string post(const FetchJob& job, const std::string& body) {
  WebClient client(job.rules, job.ca_file, kMaxRedirects, kPostDeadline);
  curl_slist* headers = curl_slist_append(nullptr, "Content-Type: application/x-ndjson");
  curl_easy_setopt(client.handle(), CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(client.handle(), CURLOPT_POST, 1L);
  curl_easy_setopt(client.handle(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
  curl_easy_setopt(client.handle(), CURLOPT_POSTFIELDS, body.c_str());
  curl_easy_setopt(client.handle(), CURLOPT_WRITEFUNCTION, &ignore_body);
  CURLcode code = client.perform(job.url);
  curl_slist_free_all(headers);
  if (client.refused()) return "leads to " + *client.refused();
  if (code != CURLE_OK) return client.error_text(code);
  long status = client.http_status();
  return status >= 200 && status < 300 ? "" : "the receiver answered HTTP " + std::to_string(status);
}

class Lines {
 public:
  explicit Lines(std::string already_read) : pending_(std::move(already_read)) {}
  // False at the end of the input.
  bool read(int fd) {
    char buffer[65536];
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (n <= 0) return false;
    pending_.append(buffer, static_cast<std::size_t>(n));
    return pending_.size() <= kReadAhead;
  }
  void move_to(NotifyQueue& queue) {
    for (std::size_t end; (end = pending_.find('\n')) != std::string::npos; pending_.erase(0, end + 1))
      if (end > 0) queue.push(pending_.substr(0, end));
  }

 private:
  std::string pending_;
};

int wait_ms(const NotifyQueue& queue) {
  auto due = queue.due();
  if (!due) return -1;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - sys::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

}  // namespace

Status run_notifier(const FetchJob& job, int input, int output, std::string already_read) {
  // It lives as long as its URL is in use, so CPU time is bounded generously: a day of it.
  NETSERV_TRY(confine_web_client(job.identity, job.ca_file, Limits{0, std::chrono::hours(24)}));
  NotifyQueue queue;
  Lines lines(std::move(already_read));
  std::uint64_t posted = 0;
  auto attempt = [&] {
    std::string error = post(job, queue.post());
    error.empty() ? queue.posted() : queue.failed(sys::now());
    posted += error.empty() ? 1 : 0;
    std::string line = encode_notified({posted, queue.dropped(), error}) + "\n";
    if (::write(output, line.data(), line.size()) < 0) return;  // nobody listens: the posts still matter
  };

  lines.move_to(queue);
  for (bool open = true; open;) {
    pollfd wait{input, POLLIN, 0};
    int ready = ::poll(&wait, 1, wait_ms(queue));
    if (ready < 0 && errno != EINTR) return fail_errno("notification helper", "poll", errno);
    if (ready > 0) {
      open = lines.read(input);
      lines.move_to(queue);
    }
    if (auto due = queue.due(); due && *due <= sys::now()) attempt();
  }
  while (!queue.empty()) {
    std::uint64_t before = posted;
    attempt();
    if (posted == before) break;
  }
  return {};
}

}  // namespace netserv::fetch
