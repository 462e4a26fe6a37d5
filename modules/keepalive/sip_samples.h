// Keep-alives for tests: requests made of headers that a case may replace, drop or add to.
#ifndef KEEPALIVE_SIP_SAMPLES_H
#define KEEPALIVE_SIP_SAMPLES_H

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "keepalive/sip_request.h"

namespace keepalive::samples {

struct Sample {
  std::string request_line;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  Sample with(const std::string& name, const std::string& value) const {
    Sample copy = *this;
    for (auto& header : copy.headers) {
      if (header.first != name) continue;
      header.second = value;
      return copy;
    }
    copy.headers.emplace_back(name, value);
    return copy;
  }
  Sample adding(const std::string& name, const std::string& value) const {
    Sample copy = *this;
    copy.headers.emplace_back(name, value);
    return copy;
  }
  Sample without(const std::string& name) const {
    Sample copy = *this;
    std::erase_if(copy.headers, [&](const auto& h) { return h.first == name; });
    return copy;
  }
  Sample asking(const std::string& line) const {
    Sample copy = *this;
    copy.request_line = line;
    return copy;
  }
  std::string text() const {
    std::string out = request_line + "\r\n";
    for (const auto& [name, value] : headers) out += name + ": " + value + "\r\n";
    return out + "\r\n" + body;
  }
};

inline Sample notify() {
  return {"NOTIFY sip:example.com SIP/2.0",
          {{"Via", "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK-1;rport"},
           {"Max-Forwards", "70"},
           {"From", "Alice <sip:alice@example.com>;tag=a1"},
           {"To", "<sip:example.com>"},
           {"Call-ID", "c1@10.0.0.5"},
           {"CSeq", "7 NOTIFY"},
           {"Event", "keep-alive"},
           {"Content-Length", "0"}},
          ""};
}

inline Sample options() {
  return {"OPTIONS sip:example.com SIP/2.0",
          {{"Via", "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK-1;rport"},
           {"Max-Forwards", "70"},
           {"From", "<sip:alice@example.com>;tag=a1"},
           {"To", "<sip:example.com>"},
           {"Call-ID", "c1@10.0.0.5"},
           {"CSeq", "7 OPTIONS"},
           {"Content-Length", "0"}},
          ""};
}

inline constexpr std::uint8_t kServer[4] = {198, 51, 100, 7};
inline constexpr std::uint8_t kServer6[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
inline constexpr std::uint8_t kNat[4] = {192, 0, 2, 1};

inline Target server() { return {4, kServer, 5060, {}, {}}; }
inline Target server6() { return {6, kServer6, 5060, {}, {}}; }

inline Text text_of(const std::string& s) { return {s.data(), static_cast<std::uint32_t>(s.size())}; }
inline std::string string_of(Text t) { return std::string(t.data, t.size); }

// From a copy on the heap without a byte to spare, for the sanitizer's sake; the kind alone comes back.
inline Kind kind_of(const std::string& datagram, const Target& target) {
  std::vector<char> exact(datagram.begin(), datagram.end());
  exact.shrink_to_fit();
  Request request;
  return classify({exact.data(), static_cast<std::uint32_t>(exact.size())}, target, request);
}
inline Kind kind_of(const Sample& sample) { return kind_of(sample.text(), server()); }

}  // namespace keepalive::samples

#endif  // KEEPALIVE_SIP_SAMPLES_H
