// Requests with their values parsed. Shape is checked here (syntax, ranges, limits of the format); authority
// (who may do what) is src/auth.
//
//     text --parse_message--> Message --parse_request--> Request --auth::Authenticator--> Authenticated<Request>
//
// Headers, by command (docs/ncm.md has the prose):
//     SETUP   url, ttl, dependencies, filter-port, filter-proto, filter-src, filter-dst, notification,
//             properties, digest
//     PROBE   probe = module | node | capabilities | policy
//     all     user, signature, nonce, expires, toward, nodes
// Any other header is refused. A header with an empty value counts as absent (Figure 3 has some).
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "wire/ncm/filter_spec.h"
#include "wire/ncm/message.h"
#include "wire/ncm/properties.h"

namespace netserv::ncm {

inline constexpr std::chrono::seconds kDefaultTtl{300};
inline constexpr std::chrono::seconds kMaxTtl{std::chrono::hours(24 * 366)};  // of the format; policy is stricter
inline constexpr std::size_t kMaxDependencies = 32;
inline constexpr std::size_t kMaxUrl = 2048;
inline constexpr std::size_t kMinNonce = 8, kMaxNonce = 64;

// "name_version": the version follows the last '_' and starts with a digit; without one, any version is meant.
// Letters, digits, '.', '-', '_'; at most 128 characters.
struct ModuleName {
  std::string name;
  std::string version;  // empty: any
  bool operator==(const ModuleName&) const = default;
  std::string to_string() const { return version.empty() ? name : name + "_" + version; }
  ModuleId id() const { return ModuleId(to_string()); }
  // True if `other` is of this name, and of this version if there is one.
  bool covers(const ModuleName& other) const { return name == other.name && (version.empty() || version == other.version); }
};
Result<ModuleName> parse_module_name(std::string_view text);
// What keeps the module of a manifest from being installed under this id; nothing if it is that module. The version is
// the manifest's; the names are equal, or the shorter one is the other's last dotted parts: NetMonitor_1.0.0 and
// NetServ.apps.NetMonitor_1.0.0 name the same module.
std::optional<Error> other_module(const ModuleName& id, std::string_view manifest_name, std::string_view manifest_version);

// SHA-256. Text: 64 hex digits, with or without "sha-256=" or "sha256:" before it.
using Digest = std::array<std::byte, 32>;
Result<Digest> parse_digest(std::string_view text);
std::string print_digest(const Digest& digest);

// Who signs, and what stops replays. All optional here: the authenticator knows what is required.
struct Signer {
  std::string user;                // the publisher's name in the node's configuration
  std::string nonce;               // letters, digits, '-', '_', kMinNonce to kMaxNonce characters
  std::optional<WallTime> expires; // whole seconds since the Unix epoch
  std::optional<IpAddress> toward; // the flow's destination
  std::string nodes;               // which nodes on the path act (selection.h), as print_selection() has it
  std::string signature;           // base64 as it came; not checked here
  bool operator==(const Signer&) const = default;
};

struct Setup {
  ModuleName module;  // always with a version
  std::string url;    // http: or https:, absolute
  std::optional<Digest> digest;
  std::chrono::seconds ttl = kDefaultTtl;
  FilterSpec filter;
  std::vector<std::string> dependencies;  // "packet/1", sorted as given, no doubles
  std::string notification;               // http: or https:, or empty
  Properties properties;
  bool operator==(const Setup&) const = default;
};

struct Remove {
  ModuleName module;
  bool operator==(const Remove&) const = default;
};

enum class ProbeKind : unsigned char { kModule, kNode, kCapabilities, kPolicy };
std::string_view to_string(ProbeKind kind);

struct Probe {
  ProbeKind kind = ProbeKind::kModule;
  std::optional<ModuleName> module;  // kModule only; absent ("*"): all of the publisher's modules
  bool operator==(const Probe&) const = default;
};

struct Request {
  Message message;  // as it came: what is signed
  std::variant<Setup, Remove, Probe> body;
  Signer signer;
  bool operator==(const Request&) const = default;
};

// Errors: class 3, subject = the header (or "id"), text names the value.
Result<Request> parse_request(const Message& message);

// The message of a request: the canonical header order, defaults left out. parse_request(to_message(b, s))
// gives back b and s.
Message to_message(const std::variant<Setup, Remove, Probe>& body, const Signer& signer);

// PROBEs of node and capabilities are not signed; everything else is.
bool needs_signature(const Request& request);

}  // namespace netserv::ncm
