#include "daemons/netservd/journal_sink.h"

#include <sys/stat.h>
#include <sys/uio.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/log.h"

namespace netserv::daemon {
namespace {

// JOURNAL_STREAM=device:inode names the stream; another standard error means that it was redirected.
bool connected_to_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat s {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &s) != 0) return false;
  return std::to_string(s.st_dev) + ":" + std::to_string(s.st_ino) == stream;
}

void to_journal(LogLevel level, const LogSubject& subject, std::string_view text) {
  static constexpr const char* kPriorities[] = {"7", "6", "4", "3"};
  std::vector<std::string> fields = {"MESSAGE=" + std::string(text), std::string("PRIORITY=") + kPriorities[static_cast<int>(level)]};
  if (!subject.publisher.empty()) fields.push_back("PUBLISHER=" + std::string(subject.publisher));
  if (!subject.module.empty()) fields.push_back("MODULE=" + std::string(subject.module));
  if (!subject.name.empty()) fields.push_back("SUBJECT=" + std::string(subject.name));
  std::vector<iovec> parts;
  for (std::string& field : fields) parts.push_back({field.data(), field.size()});
  ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

}  // namespace

void log_to_journal_if_there_is_one() {
  if (connected_to_journal()) set_log_sink(to_journal);
}

}  // namespace netserv::daemon
