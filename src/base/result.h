// Errors as values. Whatever a peer, a publisher, the operator or the kernel can cause is returned as
// Result<T>; a broken invariant of our own aborts (NETSERV_CHECK), and the supervisor restarts the process.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace netserv {

// Who can mend it. Decides the NCM response class and who is told.
enum class Origin : unsigned char {
  kPeer,       // malformed or unexpected bytes from the network or another process
  kPublisher,  // a request or module that its publisher must change
  kOperator,   // configuration or policy of this node
  kSystem,     // the kernel, the disk, a helper process
};

constexpr std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::kPeer: return "peer";
    case Origin::kPublisher: return "publisher";
    case Origin::kOperator: return "operator";
    case Origin::kSystem: return "system";
  }
  return "?";
}

// `subject` names the thing at fault (a header, file:line, a path, a module); `text` says what is wrong with
// it and, where there is one, what to do next. `code` is an NCM status code (wire/ncm/status.h) or 0.
struct Error {
  Origin origin = Origin::kSystem;
  std::string subject;
  std::string text;
  int code = 0;

  std::string message() const { return subject.empty() ? text : subject + ": " + text; }
  bool operator==(const Error&) const = default;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(Origin origin, std::string subject, std::string text, int code = 0) {
  return tl::unexpected<Error>(Error{origin, std::move(subject), std::move(text), code});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

// errno as an error of the system; `subject` is what was being worked on.
tl::unexpected<Error> fail_errno(std::string subject, std::string_view what, int error_number);

[[noreturn]] inline void invariant_broken(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "invariant broken: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace netserv

#define NETSERV_CHECK(expression) \
  ((expression) ? (void)0 : ::netserv::invariant_broken(#expression, __FILE__, __LINE__))

// Leaves the function with the error of `expression`, or goes on.
#define NETSERV_TRY(expression)                                                      \
  do {                                                                               \
    if (auto netserv_try_ = (expression); !netserv_try_)                             \
      return ::tl::unexpected<::netserv::Error>(std::move(netserv_try_).error());    \
  } while (false)

#define NETSERV_CONCAT_(a, b) a##b
#define NETSERV_CONCAT(a, b) NETSERV_CONCAT_(a, b)
// NETSERV_ASSIGN(auto x, f()): x is the value of f(), or the function leaves with its error.
#define NETSERV_ASSIGN(declaration, expression) \
  NETSERV_ASSIGN_(NETSERV_CONCAT(netserv_result_, __LINE__), declaration, expression)
#define NETSERV_ASSIGN_(temporary, declaration, expression)                                    \
  auto temporary = (expression);                                                               \
  if (!temporary) return ::tl::unexpected<::netserv::Error>(std::move(temporary).error());     \
  declaration = *std::move(temporary)
