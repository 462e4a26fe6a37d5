// One node's answer to a request, as text:
//
//     NETSERV/0.1 2 201 NetMonitor_1.0.0 active
//     id:NetMonitor_1.0.0
//     node:192.0.2.1
//     state:ACTIVE
//     content-length:17
//     (blank line)
//     {"more":"to say"}
//
// The first line's numbers are class and code of status.h, then the object of interest (the id, or the header
// at fault; "-" if none), then a sentence for people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/ncm/status.h"

namespace netserv::ncm {

inline constexpr std::size_t kMaxResponseHead = 8 * 1024;
inline constexpr std::size_t kMaxResponseBody = 1024 * 1024;

struct Response {
  StatusCode code = StatusCode::kOk;
  std::string object;  // no blanks; print_response() replaces them
  std::string text;    // one line
  std::string id;      // of the request, as it came
  std::string node;    // address or name of the node that answers
  std::string state;   // the module's: INSTALLING, INSTALLED, RESOLVED, STARTING, ACTIVE, STOPPING, UNINSTALLED, FAILED
  std::string body;    // JSON, or empty
  bool operator==(const Response&) const = default;
};

// Empty fields are left out. Line ends and control characters in fields become blanks; each head field is cut
// to what a reader accepts, so a response can always be printed.
std::string print_response(const Response& response);

// One whole response. Headers of later versions are ignored.
Result<Response> parse_response(std::string_view text);

struct ResponseHead {
  Response response;  // body still empty
  std::size_t content_length = 0;
};
// `text` ends with the blank line.
Result<ResponseHead> parse_response_head(std::string_view text);

// The answer to a request that was refused with `error`.
Response response_to(const Error& error, std::string id, std::string node);

}  // namespace netserv::ncm
