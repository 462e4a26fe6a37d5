// What netservd asks of the download and the notification helper, and what it hears back: one JSON object each way, a
// line each. A helper has read a stranger's bytes, so what it says is believed in form only.
//
//   stdin   {"url", "output", "sha256", "max_bytes", ...}           FetchJob's fields; the rest keep their defaults
//   stdout  {"progress": {"bytes": N, "total": M}}                   now and then; total 0 if unknown
//           {"ok": true, "bytes": N, "sha256": "..."}                the end
//           {"ok": false, "origin", "subject", "text", "code"}       or this; nothing is left at `output`
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "auth/address_rules.h"
#include "base/result.h"
#include "sandbox/identity.h"

namespace netserv::fetch {

struct FetchJob {
  std::string url;
  std::string output;   // must not exist
  std::string sha256;   // lower-case hex; empty: anything goes
  std::string ca_file;  // PEM; empty: the system's
  std::uint64_t max_bytes = 8u << 20;
  int max_redirects = 3;
  std::chrono::milliseconds deadline{30000};
  // Slower than this for slow_for seconds: given up.
  std::uint64_t slow_bytes_per_second = 100;
  std::chrono::seconds slow_for{10};
  auth::AddressRules rules;
  sandbox::Identity identity;  // taken on if started as root
  bool operator==(const FetchJob& other) const;
};

std::string encode_job(const FetchJob& job);
Result<FetchJob> decode_job(std::string_view json);

struct Fetched {
  std::uint64_t bytes = 0;
  std::string sha256;
  bool operator==(const Fetched&) const = default;
};

std::string encode_progress(std::uint64_t bytes, std::uint64_t total);
std::string encode_answer(const Result<Fetched>& answer);

// For whoever starts the helper: its last line as a Result, with the NCM status code in Error::code.
Result<Fetched> decode_answer(std::string_view line);
struct Progress {
  std::uint64_t bytes = 0, total = 0;
};
// True if the line is a progress line.
bool decode_progress(std::string_view line, Progress& out);

// What the notification helper says after each try, so far.
struct Notified {
  std::uint64_t posted = 0, dropped = 0;
  std::string error;  // of this try; empty: the receiver took it
  bool operator==(const Notified&) const = default;
};
std::string encode_notified(const Notified& notified);
Result<Notified> decode_notified(std::string_view line);

}  // namespace netserv::fetch
