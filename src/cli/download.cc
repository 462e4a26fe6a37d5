#include "cli/download.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <memory>

namespace netserv::cli {
namespace {

struct Sink {
  Bytes bytes;
  std::size_t most;
};

std::size_t append(char* data, std::size_t, std::size_t n, void* user) {
  auto& sink = *static_cast<Sink*>(user);
  if (n > sink.most - sink.bytes.size()) return 0;  // libcurl then ends with CURLE_WRITE_ERROR
  ByteSpan more = as_bytes(std::string_view(data, n));
  sink.bytes.insert(sink.bytes.end(), more.begin(), more.end());
  return n;
}

}  // namespace

Result<Bytes> download(const std::string& url, std::size_t most) {
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) return fail(Origin::kSystem, url, "libcurl does not start");
  Sink sink{{}, most};
  char reason[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 60L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &sink);
  if (isatty(STDERR_FILENO)) fmt::print(stderr, "downloading {} ...\n", url);
  CURLcode code = curl_easy_perform(curl.get());
  if (code == CURLE_WRITE_ERROR) return fail(Origin::kPublisher, url, fmt::format("is larger than {} bytes", most));
  if (code != CURLE_OK) return fail(Origin::kPublisher, url, *reason ? reason : curl_easy_strerror(code));
  return std::move(sink.bytes);
}

}  // namespace netserv::cli
