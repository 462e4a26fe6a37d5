// A NetServ Control Message as text (paper, Figure 3): any command, any headers, nothing interpreted.
//
//     SETUP NetMonitor_1.0.0 NETSERV/0.1
//     filter-port: 5060
//     filter-proto: udp
//     ...
//     (blank line)
//
// Lines end with LF or CRLF. Header names are case-insensitive and kept in lower case; blanks around names
// and values do not count; the order does not count. A name given twice is refused. nslpd carries headers it
// does not know; netservd refuses them (request.h).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace netserv::ncm {

inline constexpr std::string_view kProtocol = "NETSERV/0.1";
inline constexpr std::size_t kMaxMessageBytes = 32 * 1024;
inline constexpr std::size_t kMaxHeaders = 64;
inline constexpr std::size_t kMaxHeaderName = 64;
inline constexpr std::size_t kMaxHeaderValue = 8 * 1024;
inline constexpr std::size_t kMaxObject = 200;  // the id in the first line

enum class Verb : unsigned char { kSetup, kRemove, kProbe, kTrigger };
std::string_view to_string(Verb verb);

struct Header {
  std::string name;   // lower case
  std::string value;  // trimmed
  bool operator==(const Header&) const = default;
};

struct Message {
  Verb verb = Verb::kProbe;
  std::string object;           // the id; "*" where none is meant
  std::vector<Header> headers;  // as they came
  bool operator==(const Message&) const = default;

  // The value, or nullptr. `name` in lower case.
  const std::string* find(std::string_view name) const;
  // Replaces the value, or appends the header.
  void set(std::string_view name, std::string value);
  void erase(std::string_view name);
};

// `text` is exactly one message with its blank line. Errors: class 3, subject = the line or header.
Result<Message> parse_message(std::string_view text);

// LF line ends, blank line included. parse_message(print_message(m)) == m for every m that parse_message gave.
std::string print_message(const Message& message);

// What is signed: the first line, then every header but `signature`, sorted by name, "name:value\n". Equal for
// two messages exactly if they mean the same to every reader.
std::string signed_text(const Message& message);

// Shared with responses: trims blanks (space and tab).
std::string_view trim(std::string_view text);
std::string to_lower(std::string_view text);
// Splits "name: value"; refuses bad names and control characters.
Result<Header> parse_header_line(std::string_view line);

}  // namespace netserv::ncm
