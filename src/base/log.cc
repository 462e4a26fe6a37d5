#include "base/log.h"

#include <cstdio>

namespace netserv {
namespace {

void to_stderr(LogLevel level, const LogSubject& subject, std::string_view text) {
  static constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
  std::string line(kNames[static_cast<unsigned>(level)]);
  if (!subject.publisher.empty()) line += fmt::format(" publisher={}", subject.publisher);
  if (!subject.module.empty()) line += fmt::format(" module={}", subject.module);
  if (!subject.name.empty()) line += fmt::format(" {}", subject.name);
  line += fmt::format(": {}\n", text);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

LogSink& sink() {
  static LogSink instance = to_stderr;
  return instance;
}
LogLevel g_level = LogLevel::kInfo;

}  // namespace

void set_log_sink(LogSink new_sink) { sink() = std::move(new_sink); }
void set_log_level(LogLevel level) { g_level = level; }
bool log_enabled(LogLevel level) { return level >= g_level; }
void log_line(LogLevel level, const LogSubject& subject, std::string_view text) { sink()(level, subject, text); }

}  // namespace netserv
