#include "fetch/web_client.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "wire/ip/address.h"

namespace netserv::fetch {
namespace {

std::optional<IpAddress> address_of(const curl_sockaddr& a) {
  if (a.family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &a.addr, sizeof in);
    return IpAddress::v4(ntohl(in.sin_addr.s_addr));
  }
  if (a.family == AF_INET6 && a.addrlen >= sizeof(sockaddr_in6)) {
    // curl_sockaddr ends in a sockaddr; an IPv6 one is longer, and libcurl has left the room.
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&a.addr);
    return IpAddress::from_bytes(ByteSpan(reinterpret_cast<const std::byte*>(&in6->sin6_addr), 16));
  }
  return std::nullopt;
}

}  // namespace

WebClient::WebClient(const auth::AddressRules& rules, const std::string& ca_file, int max_redirects,
                     std::chrono::milliseconds deadline)
    : curl_(curl_easy_init()), rules_(rules) {
  curl_easy_setopt(curl_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl_, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl_, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl_, CURLOPT_MAXREDIRS, static_cast<long>(max_redirects));
  curl_easy_setopt(curl_, CURLOPT_PROXY, "");
  curl_easy_setopt(curl_, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl_, CURLOPT_TIMEOUT_MS, static_cast<long>(deadline.count()));
  curl_easy_setopt(curl_, CURLOPT_USERAGENT, "NetServ/0.1");
  curl_easy_setopt(curl_, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(curl_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl_, CURLOPT_HEADERFUNCTION, &WebClient::on_header);
  curl_easy_setopt(curl_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(curl_, CURLOPT_OPENSOCKETFUNCTION, &WebClient::open_socket);
  curl_easy_setopt(curl_, CURLOPT_OPENSOCKETDATA, this);
  if (!ca_file.empty()) curl_easy_setopt(curl_, CURLOPT_CAINFO, ca_file.c_str());
}

WebClient::~WebClient() { curl_easy_cleanup(curl_); }

CURLcode WebClient::perform(const std::string& url) {
  error_[0] = 0;
  refused_.reset();
  header_bytes_ = 0;
  curl_easy_setopt(curl_, CURLOPT_URL, url.c_str());
  return curl_easy_perform(curl_);
}

long WebClient::http_status() const {
  long status = 0;
  curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

std::string WebClient::error_text(CURLcode code) const {
  if (header_bytes_ > kMostHeaderBytes) return "the server sends headers without end";
  return error_[0] != 0 ? error_ : curl_easy_strerror(code);
}

// libcurl keeps every header until the end; of all answers together, redirects and interim ones too.
std::size_t WebClient::on_header(char*, std::size_t, std::size_t n, void* self) {
  auto& client = *static_cast<WebClient*>(self);
  client.header_bytes_ += n;
  return client.header_bytes_ <= kMostHeaderBytes ? n : 0;
}

curl_socket_t WebClient::open_socket(void* self, curlsocktype, curl_sockaddr* address) {
  auto& client = *static_cast<WebClient*>(self);
  std::optional<IpAddress> to = address_of(*address);
  std::optional<std::string> why = to ? auth::refuse_address(*to, client.rules_) : "not an IP address";
  if (why) {
    client.refused_ = (to ? to->to_string() + ": " : "") + *why;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

}  // namespace netserv::fetch
