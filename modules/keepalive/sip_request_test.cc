#include "keepalive/sip_request.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "keepalive/sip_samples.h"

namespace keepalive {

void PrintTo(Kind kind, std::ostream* out) { *out << static_cast<int>(kind); }

namespace {

using namespace samples;

TEST(Classify, FourByteDatagrams) {
  EXPECT_EQ(kind_of("\r\n\r\n", server()), Kind::kCrlf);
  EXPECT_EQ(kind_of(std::string(4, '\0'), server()), Kind::kSilent);
  EXPECT_EQ(kind_of("\r\n", server()), Kind::kOther);
  EXPECT_EQ(kind_of("jaK\n", server()), Kind::kOther);
  EXPECT_EQ(kind_of(std::string(5, '\0'), server()), Kind::kOther);
  EXPECT_EQ(kind_of("\r\n\r\n\r\n", server()), Kind::kOther);
  EXPECT_EQ(kind_of("", server()), Kind::kOther);
}

TEST(Classify, Notify) {
  EXPECT_EQ(kind_of(notify()), Kind::kNotify);
  EXPECT_EQ(kind_of(notify().with("Event", "Keep-Alive")), Kind::kNotify);
  EXPECT_EQ(kind_of(notify().with("Event", "keep-alive;id=5 ; x=\"a;b\"")), Kind::kNotify);
  EXPECT_EQ(kind_of(notify().with("To", "<sip:example.com>;tag=x")), Kind::kNotify);
  EXPECT_EQ(kind_of(notify().without("Content-Length")), Kind::kNotify);
  EXPECT_EQ(kind_of(notify().without("Max-Forwards")), Kind::kNotify);
  EXPECT_EQ(kind_of(notify().adding("Route", "<sip:proxy.example.com;lr>")), Kind::kNotify);
  EXPECT_EQ(kind_of(notify().asking("NOTIFY sip:alice@example.com sip/2.0")), Kind::kNotify);
}

TEST(Classify, NotifyOfSomethingElse) {
  for (const char* event : {"presence", "keep-alive.winfo", "keep-aliv", "keep-alives", "", "keep alive",
                            "\"keep-alive\"", "keep-alive,presence", "keep-alive;", "message-summary;x=keep-alive"})
    EXPECT_EQ(kind_of(notify().with("Event", event)), Kind::kOther) << event;
  EXPECT_EQ(kind_of(notify().without("Event")), Kind::kOther);
  EXPECT_EQ(kind_of(notify().adding("o", "keep-alive")), Kind::kOther);  // twice
  Sample body = notify().with("Content-Length", "4");
  body.body = "text";
  EXPECT_EQ(kind_of(body), Kind::kOther);
  EXPECT_EQ(kind_of(body.without("Content-Length")), Kind::kOther);
}

TEST(Classify, CompactFoldedAndOddlyCasedHeaders) {
  EXPECT_EQ(kind_of("NOTIFY sip:example.com SIP/2.0\r\n"
                    "v:SIP / 2.0 / udp 10.0.0.5;branch=z9hG4bK-1\r\n"
                    "f : \"A \\\" <b>\" <sip:alice@example.com>\r\n ;tag=a1\r\n"
                    "t\t:\r\n\tsip:example.com\r\n"
                    "I: c1\r\n"
                    "cSEQ: 7\r\n NOTIFY\r\n"
                    "o:\r\n  KEEP-alive\r\n"
                    "l:\r\n\t0\r\n"
                    "\r\n",
                    server()),
            Kind::kNotify);
}

TEST(Classify, CommaCombinedVias) {
  Request request;
  std::string text = notify()
                         .with("Via", "SIP/2.0/UDP [2001:db8::9]:5060;branch=a;x=\"p,q\" ,\r\n SIP/2.0/TCP b;branch=b")
                         .adding("v", "SIP/2.0/TLS c;received=1.2.3.4")
                         .text();
  ASSERT_EQ(classify(text_of(text), server(), request), Kind::kNotify);
  EXPECT_EQ(request.via_lines, 2u);
  EXPECT_EQ(string_of(request.sent_by_host), "[2001:db8::9]");
  EXPECT_EQ(string_of(request.via[0].sub(0, request.top_via_end)),
            "SIP/2.0/UDP [2001:db8::9]:5060;branch=a;x=\"p,q\"");
  for (const char* via : {"SIP/2.0/UDP a,", ",SIP/2.0/UDP a", "SIP/2.0/UDP a,,SIP/2.0/UDP b", "SIP/2.0/UDP a b"})
    EXPECT_EQ(kind_of(notify().with("Via", via)), Kind::kOther) << via;
}

TEST(Classify, TopViaMustBeAnswerable) {
  for (const char* via :
       {"SIP/2.0/TCP a;branch=b", "SIP/2.0/UDP a;maddr=224.0.0.1", "SIP/2.0/UDP a;received=1.2.3.4",
        "SIP/2.0/UDP a;rport=5", "SIP/2.0/UDP a;rport;rport", "SIP/3.0/UDP a", "HTTP/2.0/UDP a", "SIP/2.0/UDP",
        "SIP/2.0/UDP a:99999", "SIP/2.0/UDP a:", "SIP/2.0/UDP [::1", "SIP/2.0/UDP a;branch=", "SIP/2.0/UDP a;=b", ""})
    EXPECT_EQ(kind_of(notify().with("Via", via)), Kind::kOther) << via;
  EXPECT_EQ(kind_of(notify().without("Via")), Kind::kOther);
}

TEST(Classify, WhatAnAnswerNeedsMustBeSound) {
  for (const char* name : {"From", "To", "Call-ID", "CSeq"}) {
    EXPECT_EQ(kind_of(notify().without(name)), Kind::kOther) << name;
    EXPECT_EQ(kind_of(notify().with(name, "")), Kind::kOther) << name;
    Sample twice = notify();
    for (const auto& header : notify().headers)
      if (header.first == name) twice = twice.adding(name, header.second);
    EXPECT_EQ(kind_of(twice), Kind::kOther) << name;
  }
  const std::pair<const char*, const char*> bad[] = {
      {"CSeq", "7 OPTIONS"}, {"CSeq", "7NOTIFY"}, {"CSeq", "2147483648 NOTIFY"}, {"CSeq", "7 notify"},
      {"CSeq", "-7 NOTIFY"}, {"Call-ID", "a b"}, {"To", "<sip:a"}, {"To", "\"a <sip:a>"}, {"To", "sip"},
      {"To", "<sip:a>;tag=1;tag=2"}, {"To", "<sip:a>;tag"}, {"To", "<sip:a>,<sip:b>"}, {"To", "<sip:a>x"},
      {"From", "A, B <sip:a>"}, {"From", "<>"}, {"From", "\"a\" sip:a"}, {"Max-Forwards", "256"},
      {"Max-Forwards", "x"}, {"Content-Length", "-1"}, {"Content-Length", ""}, {"Require", "100rel"},
      {"Proxy-Require", "foo"}};
  for (const auto& [name, value] : bad)
    EXPECT_EQ(kind_of(notify().with(name, value)), Kind::kOther) << name << ": " << value;
  // Looked at eight bytes at once, and then what is left of them.
  for (const char* odd : {" ", "\t", "\x7f", "\x80", "\xff"})
    for (std::size_t at = 1; at < 19; at++) {
      std::string id = "1234567890abcdef@host";
      EXPECT_EQ(kind_of(notify().with("Call-ID", id)), Kind::kNotify);
      EXPECT_EQ(kind_of(notify().with("Call-ID", id.replace(at, 1, odd))), Kind::kOther) << id;
    }
}

TEST(Classify, FramingMustBeStrict) {
  const std::string good = notify().text();
  for (std::size_t n = 0; n < good.size(); n++)
    EXPECT_EQ(kind_of(good.substr(0, n), server()), Kind::kOther) << n;
  std::string bare = good;
  bare.erase(std::remove(bare.begin(), bare.end(), '\r'), bare.end());
  EXPECT_EQ(kind_of(bare, server()), Kind::kOther);
  for (char c : {'\0', '\n', '\r', '\x1f'}) {
    std::string broken = good;
    broken[good.find("Alice")] = c;
    EXPECT_EQ(kind_of(broken, server()), Kind::kOther) << int(c);
  }
  for (const char* line : {"NOTIFY  sip:a SIP/2.0", "NOTIFY sip:a SIP/2.0 ", "NOTIFY sip:a SIP/7.0", "notify sip:a SIP/2.0",
                           "NOTIFY sip:a  SIP/2.0", "NOTIFY <sip:a> SIP/2.0", "NOTIFY sip:a", "NOTIFYX sip:a SIP/2.0",
                           "INVITE sip:a SIP/2.0", "SIP/2.0 200 OK", "NOTIFY\tsip:a SIP/2.0"})
    EXPECT_EQ(kind_of(notify().asking(line)), Kind::kOther) << line;
  EXPECT_EQ(kind_of("\r\n" + good, server()), Kind::kOther);
  EXPECT_EQ(kind_of(notify().adding("Bad Header", "x")), Kind::kOther);
}

TEST(Classify, OptionsPing) {
  EXPECT_EQ(kind_of(options()), Kind::kOptions);
  EXPECT_EQ(kind_of(options().adding("Accept", "application/sdp")), Kind::kOptions);
  for (const char* uri : {"sip:198.51.100.7", "sip:198.51.100.7:5060", "SIP:example.com;transport=udp", "sip:pbx.example.com:5060"})
    EXPECT_EQ(kind_of(options().asking(std::string("OPTIONS ") + uri + " SIP/2.0")), Kind::kOptions) << uri;
  EXPECT_EQ(kind_of(options().asking("OPTIONS sip:[2001:db8::7]:5060 SIP/2.0").text(), server6()), Kind::kOptions);
}

TEST(Classify, OptionsThatAreNoPing) {
  for (const char* uri : {"sip:alice@example.com", "sip:alice:pw@example.com", "sip:alice@198.51.100.7", "sips:example.com",
                          "tel:+15551234", "sip:198.51.100.8", "sip:198.51.100.7:5070", "sip:example.com?Subject=x",
                          "sip:[2001:db8::7]", "sip:", "sip:@example.com", "sip:example.com;x@y", "sip:300.1.1.1",
                          "sip:example.com:", "sip:2001:db8::7", "sip:%41@example.com"})
    EXPECT_EQ(kind_of(options().asking(std::string("OPTIONS ") + uri + " SIP/2.0")), Kind::kOther) << uri;
  EXPECT_EQ(kind_of(options().with("To", "<sip:example.com>;tag=1")), Kind::kOther);
  EXPECT_EQ(kind_of(options().with("Max-Forwards", "0")), Kind::kOther);
  EXPECT_EQ(kind_of(options().adding("Route", "<sip:other.example.com;lr>")), Kind::kOther);
  EXPECT_EQ(kind_of(options().with("Content-Length", "3")), Kind::kOther);
}

TEST(Classify, OptionsDomainsAndUsers) {
  Target target = server();
  target.domains = "example.net, PBX.example.com";
  target.users = "ping,service";
  auto kind = [&](const char* uri) { return kind_of(options().asking(std::string("OPTIONS ") + uri + " SIP/2.0").text(), target); };
  EXPECT_EQ(kind("sip:example.com"), Kind::kOther);
  EXPECT_EQ(kind("sip:pbx.example.com"), Kind::kOptions);
  EXPECT_EQ(kind("sip:198.51.100.7"), Kind::kOptions);
  EXPECT_EQ(kind("sip:ping@example.net"), Kind::kOptions);
  EXPECT_EQ(kind("sip:service@198.51.100.7:5060"), Kind::kOptions);
  EXPECT_EQ(kind("sip:Ping@example.net"), Kind::kOther);
  EXPECT_EQ(kind("sip:pingx@example.net"), Kind::kOther);
}

}  // namespace
}  // namespace keepalive
