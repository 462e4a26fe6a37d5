// What download and notification have in common of libcurl: plain http and https, HTTP/1.1, no proxy, no cookies, no
// credentials, bounded headers, and every address checked just before it is connected to, redirects included.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "auth/address_rules.h"

namespace netserv::fetch {

class WebClient {
 public:
  WebClient(const auth::AddressRules& rules, const std::string& ca_file, int max_redirects,
            std::chrono::milliseconds deadline);
  ~WebClient();
  WebClient(const WebClient&) = delete;
  WebClient& operator=(const WebClient&) = delete;

  CURL* handle() { return curl_; }
  CURLcode perform(const std::string& url);
  long http_status() const;
  // The last address that was refused, with the reason; nothing if none was.
  const std::optional<std::string>& refused() const { return refused_; }
  // libcurl's own words on what went wrong.
  std::string error_text(CURLcode code) const;

 private:
  static constexpr std::size_t kMostHeaderBytes = 64 * 1024;
  static std::size_t on_header(char* data, std::size_t, std::size_t n, void* self);
  static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  CURL* curl_ = nullptr;
  const auth::AddressRules& rules_;
  std::optional<std::string> refused_;
  std::size_t header_bytes_ = 0;
  char error_[CURL_ERROR_SIZE] = {};
};

}  // namespace netserv::fetch
