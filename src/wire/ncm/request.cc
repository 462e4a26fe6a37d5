#include "wire/ncm/request.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "wire/ncm/selection.h"
#include "wire/ncm/status.h"
#include "wire/ncm/value.h"

namespace netserv::ncm {
namespace {

constexpr unsigned kSetupOnly = 1u << static_cast<unsigned>(Verb::kSetup);
constexpr unsigned kProbeOnly = 1u << static_cast<unsigned>(Verb::kProbe);
constexpr unsigned kAll = ~0u;

tl::unexpected<Error> bad(std::string_view header, std::string text) {
  return refuse(StatusCode::kBadValue, std::string(header), std::move(text));
}

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Under construction: what the header functions below fill.
struct Draft {
  Setup setup;
  Probe probe;
  Signer signer;
};

Status read_url(std::string_view header, std::string_view value, std::string& out) {
  std::string lower = to_lower(value.substr(0, 8));
  if (!lower.starts_with("http://") && !lower.starts_with("https://"))
    return bad(header, "must start with http:// or https://");
  if (value.size() > kMaxUrl) return refuse(StatusCode::kTooLarge, std::string(header), "longer than 2048 bytes");
  std::string_view authority = value.substr(value.find("//") + 2);
  authority = authority.substr(0, authority.find_first_of("/?#"));
  if (authority.empty()) return bad(header, "has no host");
  if (authority.find('@') != std::string_view::npos) return bad(header, "must not hold a user name or password");
  if (value.find_first_of(" \t\"<>\\^`{|}") != std::string_view::npos)
    return bad(header, "holds characters that a URL must escape");
  out = value;
  return {};
}

Status read_ttl(Draft& d, std::string_view h, std::string_view v) {
  auto seconds = parse_unsigned(v, static_cast<std::uint64_t>(kMaxTtl.count()));
  if (!seconds || *seconds == 0) return bad(h, fmt::format("must be 1 to {} seconds", kMaxTtl.count()));
  d.setup.ttl = std::chrono::seconds(*seconds);
  return {};
}

Status read_dependencies(Draft& d, std::string_view h, std::string_view v) {
  NETSERV_ASSIGN(auto items, split_list(h, v, kMaxDependencies));
  for (std::string_view item : items) {
    std::size_t slash = item.find('/');
    bool name_ok = slash > 0 && slash != std::string_view::npos && slash <= 32 &&
                   std::all_of(item.begin(), item.begin() + static_cast<std::ptrdiff_t>(slash),
                               [](char c) { return is_alnum(c) || c == '-'; });
    if (!name_ok || !parse_unsigned(item.substr(slash + 1), 65535))
      return bad(h, fmt::format("\"{}\" is no building block such as packet/1", shorten(item)));
    std::string block = to_lower(item);
    if (std::count(d.setup.dependencies.begin(), d.setup.dependencies.end(), block))
      return bad(h, fmt::format("{} is there twice", block));
    d.setup.dependencies.push_back(block);
  }
  return {};
}

Status read_user(Draft& d, std::string_view h, std::string_view v) {
  if (v.size() > 64 || !std::all_of(v.begin(), v.end(), [](char c) {
        return is_alnum(c) || c == '.' || c == '-' || c == '_' || c == '@';
      }))
    return bad(h, "must be at most 64 letters, digits, '.', '-', '_' and '@'");
  d.signer.user = v;
  return {};
}

Status read_nonce(Draft& d, std::string_view h, std::string_view v) {
  if (v.size() < kMinNonce || v.size() > kMaxNonce ||
      !std::all_of(v.begin(), v.end(), [](char c) { return is_alnum(c) || c == '-' || c == '_'; }))
    return bad(h, "must be 8 to 64 letters, digits, '-' and '_'");
  d.signer.nonce = v;
  return {};
}

Status read_expires(Draft& d, std::string_view h, std::string_view v) {
  auto seconds = parse_unsigned(v, 4'000'000'000u);
  if (!seconds) return bad(h, "must be seconds since 1970-01-01 UTC");
  d.signer.expires = WallTime(std::chrono::seconds(*seconds));
  return {};
}

Status read_probe(Draft& d, std::string_view h, std::string_view v) {
  for (ProbeKind kind : {ProbeKind::kModule, ProbeKind::kNode, ProbeKind::kCapabilities, ProbeKind::kPolicy})
    if (to_lower(v) == to_string(kind)) {
      d.probe.kind = kind;
      return {};
    }
  return bad(h, fmt::format("\"{}\" is not module, node, capabilities or policy", shorten(v)));
}

template <class T>
Status store(Result<T> from, T& to) {
  NETSERV_ASSIGN(to, std::move(from));
  return {};
}

Status read_toward(Draft& d, std::string_view h, std::string_view v) {
  auto address = IpAddress::parse(v);
  if (!address) return bad(h, fmt::format("\"{}\" is no IP address", shorten(v)));
  d.signer.toward = *address;
  return {};
}

Status read_digest(Draft& d, std::string_view, std::string_view v) {
  NETSERV_ASSIGN(d.setup.digest, parse_digest(v));
  return {};
}

struct HeaderRule {
  std::string_view name;
  unsigned verbs;
  Status (*read)(Draft&, std::string_view header, std::string_view value);
};

constexpr HeaderRule kRules[] = {
    {"dependencies", kSetupOnly, read_dependencies},
    {"digest", kSetupOnly, read_digest},
    {"expires", kAll, read_expires},
    {"filter-dst", kSetupOnly,
     [](Draft& d, std::string_view h, std::string_view v) {
       return store(parse_prefixes(h, v), d.setup.filter.destinations);
     }},
    {"filter-port", kSetupOnly,
     [](Draft& d, std::string_view h, std::string_view v) { return store(parse_ports(h, v), d.setup.filter.ports); }},
    {"filter-proto", kSetupOnly,
     [](Draft& d, std::string_view h, std::string_view v) {
       return store(parse_protocols(h, v), d.setup.filter.protocols);
     }},
    {"filter-src", kSetupOnly,
     [](Draft& d, std::string_view h, std::string_view v) {
       return store(parse_prefixes(h, v), d.setup.filter.sources);
     }},
    {"nodes", kAll,
     [](Draft& d, std::string_view, std::string_view v) -> Status {
       NETSERV_ASSIGN(Selection selection, parse_selection(v));
       d.signer.nodes = print_selection(selection);
       return {};
     }},
    {"nonce", kAll, read_nonce},
    {"notification", kSetupOnly,
     [](Draft& d, std::string_view h, std::string_view v) { return read_url(h, v, d.setup.notification); }},
    {"probe", kProbeOnly, read_probe},
    {"properties", kSetupOnly,
     [](Draft& d, std::string_view, std::string_view v) { return store(parse_properties(v), d.setup.properties); }},
    {"signature", kAll,
     [](Draft& d, std::string_view, std::string_view v) -> Status {
       d.signer.signature = v;
       return {};
     }},
    {"toward", kAll, read_toward},
    {"ttl", kSetupOnly, read_ttl},
    {"url", kSetupOnly,
     [](Draft& d, std::string_view h, std::string_view v) { return read_url(h, v, d.setup.url); }},
    {"user", kAll, read_user},
};

Status read_header(Draft& draft, Verb verb, const Header& header) {
  for (const HeaderRule& rule : kRules) {
    if (rule.name != header.name) continue;
    if (!(rule.verbs & 1u << static_cast<unsigned>(verb)))
      return refuse(StatusCode::kUnknownHeader, header.name, fmt::format("is no header of {}", to_string(verb)));
    if (header.value.empty()) return {};
    return rule.read(draft, header.name, header.value);
  }
  return refuse(StatusCode::kUnknownHeader, header.name, "is not known here");
}

Status finish_setup(Setup& setup, std::string_view object) {
  NETSERV_ASSIGN(setup.module, parse_module_name(object));
  if (setup.module.version.empty())
    return bad("id", "must end with _VERSION, the version starting with a digit, such as NetMonitor_1.0.0");
  if (setup.url.empty()) return refuse(StatusCode::kMissingHeader, "url", "SETUP needs it");
  return check_filters(setup.filter);
}

Status finish_probe(Probe& probe, std::string_view object) {
  if (object == "*") return {};
  if (probe.kind != ProbeKind::kModule) return bad("id", fmt::format("must be * with probe:{}", to_string(probe.kind)));
  NETSERV_ASSIGN(probe.module, parse_module_name(object));
  return {};
}

void add(Message& m, std::string_view name, std::string value) {
  if (!value.empty()) m.headers.push_back({std::string(name), std::move(value)});
}

void add_body(Message& m, const Setup& s) {
  m.verb = Verb::kSetup;
  m.object = s.module.to_string();
  add(m, "dependencies", fmt::format("{}", fmt::join(s.dependencies, ",")));
  add(m, "filter-port", print_ports(s.filter.ports));
  add(m, "filter-proto", print_protocols(s.filter.protocols));
  add(m, "filter-src", print_prefixes(s.filter.sources));
  add(m, "filter-dst", print_prefixes(s.filter.destinations));
  add(m, "notification", s.notification);
  add(m, "properties", print_properties(s.properties));
  if (s.ttl != kDefaultTtl) add(m, "ttl", std::to_string(s.ttl.count()));
  add(m, "url", s.url);
  if (s.digest) add(m, "digest", print_digest(*s.digest));
}
void add_body(Message& m, const Remove& r) {
  m.verb = Verb::kRemove;
  m.object = r.module.to_string();
}
void add_body(Message& m, const Probe& p) {
  m.verb = Verb::kProbe;
  m.object = p.module ? p.module->to_string() : "*";
  add(m, "probe", std::string(to_string(p.kind)));
}

}  // namespace

std::string_view to_string(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kModule: return "module";
    case ProbeKind::kNode: return "node";
    case ProbeKind::kCapabilities: return "capabilities";
    case ProbeKind::kPolicy: return "policy";
  }
  return "?";
}

Result<ModuleName> parse_module_name(std::string_view text) {
  if (text.empty() || text.size() > 128) return bad("id", "must be 1 to 128 characters");
  bool ok = std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '.' || c == '-' || c == '_'; });
  // The id becomes part of file names.
  if (!ok || !is_alnum(text.front())) return bad("id", "must be letters, digits, '.', '-', '_', the first a letter or digit");
  std::size_t cut = text.rfind('_');
  bool versioned = cut != std::string_view::npos && cut + 1 < text.size() && text[cut + 1] >= '0' && text[cut + 1] <= '9';
  if (!versioned) return ModuleName{std::string(text), ""};
  return ModuleName{std::string(text.substr(0, cut)), std::string(text.substr(cut + 1))};
}

std::optional<Error> other_module(const ModuleName& id, std::string_view manifest_name, std::string_view manifest_version) {
  auto shorter = std::min<std::string_view>(id.name, manifest_name, [](auto a, auto b) { return a.size() < b.size(); });
  auto longer = shorter.size() == id.name.size() ? manifest_name : std::string_view(id.name);
  bool named = longer == shorter || longer.ends_with("." + std::string(shorter));
  if (named && id.version == manifest_version) return std::nullopt;
  return refuse(StatusCode::kOtherModule, "manifest",
                "the id is " + id.to_string() + ", but the module says that it is " +
                    ModuleName{std::string(manifest_name), std::string(manifest_version)}.to_string()).value();
}

Result<Digest> parse_digest(std::string_view text) {
  for (std::string_view prefix : {"sha-256=", "sha-256:", "sha256=", "sha256:"})
    if (to_lower(text.substr(0, prefix.size())) == prefix) {
      text.remove_prefix(prefix.size());
      break;
    }
  Bytes bytes;
  Digest out;
  if (!from_hex(text, bytes) || bytes.size() != out.size()) return bad("digest", "must be 64 hex digits of SHA-256");
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

std::string print_digest(const Digest& digest) { return to_hex(digest); }

Result<Request> parse_request(const Message& message) {
  Draft draft;
  if (message.verb == Verb::kTrigger)
    return refuse(StatusCode::kUnknownVerb, "first line", "TRIGGER is for the signalling between nodes");
  for (const Header& header : message.headers) NETSERV_TRY(read_header(draft, message.verb, header));
  Request out;
  out.message = message;
  out.signer = std::move(draft.signer);
  if (message.verb == Verb::kSetup) {
    NETSERV_TRY(finish_setup(draft.setup, message.object));
    out.body = std::move(draft.setup);
    return out;
  }
  if (message.verb == Verb::kProbe) {
    NETSERV_TRY(finish_probe(draft.probe, message.object));
    out.body = std::move(draft.probe);
    return out;
  }
  Remove remove;
  NETSERV_ASSIGN(remove.module, parse_module_name(message.object));
  out.body = std::move(remove);
  return out;
}

Message to_message(const std::variant<Setup, Remove, Probe>& body, const Signer& signer) {
  Message out;
  std::visit([&](const auto& b) { add_body(out, b); }, body);
  add(out, "user", signer.user);
  add(out, "nonce", signer.nonce);
  if (signer.expires) {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(signer.expires->time_since_epoch());
    add(out, "expires", std::to_string(seconds.count()));
  }
  if (signer.toward) add(out, "toward", signer.toward->to_string());
  add(out, "nodes", signer.nodes);
  add(out, "signature", signer.signature);
  return out;
}

bool needs_signature(const Request& request) {
  const auto* probe = std::get_if<Probe>(&request.body);
  return !probe || probe->kind == ProbeKind::kModule || probe->kind == ProbeKind::kPolicy;
}

}  // namespace netserv::ncm
