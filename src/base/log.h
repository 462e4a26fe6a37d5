// Log face. The first argument is the subject: publisher and module names, a peer, a path; sinks put it in
// fields of their own. A process sets its sink once in main(); until then lines go to standard error.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace netserv {

enum class LogLevel : unsigned char { kDebug, kInfo, kWarning, kError };

struct LogSubject {
  std::string_view publisher = {};
  std::string_view module = {};
  std::string_view name = {};  // anything else: a peer, a file, a queue
};

using LogSink = std::function<void(LogLevel, const LogSubject&, std::string_view text)>;

// Not thread-safe against logging: call it before other threads exist.
void set_log_sink(LogSink sink);
void set_log_level(LogLevel level);
void log_line(LogLevel level, const LogSubject& subject, std::string_view text);
bool log_enabled(LogLevel level);

template <class... Args>
void log_debug(const LogSubject& s, fmt::format_string<Args...> f, Args&&... a) {
  if (log_enabled(LogLevel::kDebug)) log_line(LogLevel::kDebug, s, fmt::format(f, std::forward<Args>(a)...));
}
template <class... Args>
void log_info(const LogSubject& s, fmt::format_string<Args...> f, Args&&... a) {
  if (log_enabled(LogLevel::kInfo)) log_line(LogLevel::kInfo, s, fmt::format(f, std::forward<Args>(a)...));
}
template <class... Args>
void log_warning(const LogSubject& s, fmt::format_string<Args...> f, Args&&... a) {
  if (log_enabled(LogLevel::kWarning)) log_line(LogLevel::kWarning, s, fmt::format(f, std::forward<Args>(a)...));
}
template <class... Args>
void log_error(const LogSubject& s, fmt::format_string<Args...> f, Args&&... a) {
  log_line(LogLevel::kError, s, fmt::format(f, std::forward<Args>(a)...));
}

}  // namespace netserv
