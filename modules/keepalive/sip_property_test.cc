// Properties over random requests, with a fixed seed: the way a keep-alive is written down changes nothing, and
// whatever is answered gets an answer that an independent, simple-minded reader finds in order.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "keepalive/sip_response.h"
#include "keepalive/sip_samples.h"

namespace keepalive {
namespace {

using namespace samples;

std::mt19937 random_bits(2026);
unsigned pick(unsigned n) { return static_cast<unsigned>(random_bits() % n); }

std::string any_case(std::string s) {
  for (char& c : s)
    if (pick(2)) c = static_cast<char>(pick(2) ? std::toupper(c) : std::tolower(c));
  return s;
}

std::string any_name(const std::string& name) {
  static const std::pair<const char*, const char*> kCompact[] = {{"Via", "v"}, {"From", "f"}, {"To", "t"},
                                                                  {"Call-ID", "i"}, {"Event", "o"}, {"Content-Length", "l"}};
  for (auto [full, compact] : kCompact)
    if (name == full && pick(2)) return any_case(compact);
  return any_case(name);
}

std::string any_blank() {
  static const char* kBlanks[] = {"", " ", "\t", "\r\n ", " \r\n\t "};
  return kBlanks[pick(5)];
}

// The same request, written another way. The headers' values stay as they are.
std::string rewritten(const Sample& sample) {
  std::string out = sample.request_line + "\r\n";
  auto headers = sample.headers;
  std::stable_sort(headers.begin(), headers.end(), [keep = random_bits()](const auto& a, const auto& b) {
    auto key = [keep](const auto& h) { return std::hash<std::string>()(h.first + std::to_string(keep)); };
    return key(a) < key(b);
  });
  for (const auto& [name, value] : headers) {
    out += any_name(name) + (pick(2) ? " \t" : "") + ":" + any_blank() + value + any_blank() + "\r\n";
    if (pick(4) == 0) out += "X-Other: via; \"from\"\r\n";
  }
  return out + "\r\n";
}

std::string answer(const std::string& text, bool& taken) {
  std::vector<char> exact(text.begin(), text.end());
  exact.shrink_to_fit();
  Request request;
  Kind kind = classify({exact.data(), static_cast<std::uint32_t>(exact.size())}, server(), request);
  taken = kind == Kind::kNotify || kind == Kind::kOptions;
  if (!taken) return {};
  std::vector<char> out(8192);
  std::uint32_t n = write_response(request, {4, kNat, 40000}, 1, out.data(), 8192);
  return std::string(out.data(), n);
}

Sample any_keep_alive() {
  Sample s = pick(2) ? notify() : options();
  std::string host = pick(2) ? "192.0.2.1" : pick(2) ? "pc.example.com" : "[2001:db8::1]";
  std::string via = "SIP/2.0/UDP " + host + (pick(2) ? ":5066" : "") + ";branch=z9hG4bK" + std::to_string(random_bits());
  s = s.with("Via", via + (pick(2) ? ";rport" : "") + (pick(3) ? "" : ";alias"));
  for (unsigned more = pick(4); more > 0; more--) s = s.adding("Via", "SIP/2.0/TCP h" + std::to_string(more) + ";branch=x");
  s = s.with("Call-ID", std::to_string(random_bits()));
  if (s.headers[0].second.size() % 2) s = s.without("Max-Forwards");
  return s;
}

TEST(SipProperty, HowItIsWrittenChangesNothing) {
  for (int i = 0; i < 3000; i++) {
    Sample sample = any_keep_alive();
    bool taken = false, taken_again = false;
    std::string expected = answer(sample.text(), taken);
    ASSERT_TRUE(taken) << sample.text();
    std::string text = rewritten(sample);
    EXPECT_EQ(answer(text, taken_again), expected) << text;
    EXPECT_TRUE(taken_again) << text;
  }
}

std::vector<std::string> unfolded_lines(const std::string& message) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  for (std::size_t end; (end = message.find("\r\n", at)) != std::string::npos; at = end + 2) {
    if (end > at && (message[at] == ' ' || message[at] == '\t') && !lines.empty())
      lines.back() += message.substr(at, end - at);
    else
      lines.push_back(message.substr(at, end - at));
  }
  return lines;
}

TEST(SipProperty, WhateverIsAnsweredGetsAWellFormedAnswer) {
  int answered = 0;
  for (int i = 0; i < 60000; i++) {
    std::string text = rewritten(any_keep_alive());
    for (unsigned edits = pick(3); edits > 0; edits--) {
      std::size_t at = pick(static_cast<unsigned>(text.size()));
      switch (pick(4)) {
        case 0: text[at] = static_cast<char>(random_bits()); break;
        case 1: text.erase(at, pick(6)); break;
        case 2: text.insert(at, 1, ",;:\"<>\\ \r\n\t@"[pick(12)]); break;
        case 3: text.insert(at, text.substr(pick(static_cast<unsigned>(text.size())), pick(20))); break;
      }
    }
    bool taken = false;
    std::string response = answer(text, taken);
    if (!taken) continue;
    answered++;
    auto lines = unfolded_lines(response);
    ASSERT_GE(lines.size(), 8u) << text;
    EXPECT_EQ(lines[0], "SIP/2.0 200 OK");
    std::size_t n = 1;
    while (n < lines.size() && lines[n].rfind("Via: ", 0) == 0) n++;
    ASSERT_EQ(lines.size(), n + 6) << text << "\n" << response;
    EXPECT_GE(n, 2u);
    EXPECT_EQ(lines[n].rfind("From: ", 0), 0u);
    EXPECT_EQ(lines[n + 1].rfind("To: ", 0), 0u);
    EXPECT_EQ(lines[n + 2].rfind("Call-ID: ", 0), 0u);
    EXPECT_EQ(lines[n + 3].rfind("CSeq: ", 0), 0u);
    EXPECT_EQ(lines[n + 4], "Content-Length: 0");
    EXPECT_EQ(lines[n + 5], "");
    EXPECT_EQ(response.substr(response.size() - 4), "\r\n\r\n");
  }
  EXPECT_GT(answered, 10000);
}

}  // namespace
}  // namespace keepalive
