#include "cli/request_builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/random.h>

#include <array>
#include <iostream>
#include <iterator>
#include <optional>

#include "auth/authenticator.h"
#include "cli/download.h"
#include "cli/exit_codes.h"
#include "cli/files.h"
#include "compile/manifest.h"
#include "wire/ncm/properties.h"
#include "wire/ncm/reader.h"
#include "wire/ncm/request.h"

namespace netserv::cli {
namespace {

constexpr std::size_t kMaxModuleFile = 256u << 20;

tl::unexpected<Error> usage(std::string subject, std::string text) {
  return fail(Origin::kPublisher, std::move(subject), std::move(text), kExitUsage);
}

Result<ncm::Message> message_from_file(const std::string& path) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    NETSERV_ASSIGN(Bytes bytes, read_whole_file(path, ncm::kMaxMessageBytes));
    text = as_text(bytes);
  }
  // Editors leave out the blank line, or leave several.
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  auto message = ncm::parse_message(text + "\n\n");
  if (!message) return fail(message.error().origin, path, message.error().message(), message.error().code);
  return message;
}

Status add_properties(const std::vector<std::string>& given, ncm::Message& message) {
  if (given.empty()) return {};
  ncm::Properties properties;
  std::string node_part;
  for (const std::string& entry : given) {
    std::size_t equals = entry.find('=');
    if (equals == 0 || equals == std::string::npos) return usage("--property", fmt::format("\"{}\" is not key=value", entry));
    if (entry.starts_with("netserv.")) node_part += (node_part.empty() ? "" : ",") + entry;
    else properties.module[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  NETSERV_ASSIGN(ncm::Properties node, ncm::parse_properties(node_part));
  properties.node = node.node;
  message.set("properties", ncm::print_properties(properties));
  return {};
}

// The .wasm file, if it is to be had.
Result<std::optional<Bytes>> module_of(const RequestOptions& options, const ncm::Message& message) {
  if (!options.module_file.empty()) return read_whole_file(options.module_file, kMaxModuleFile);
  if (!options.fetch_digest) return std::nullopt;
  const std::string* url = message.find("url");
  if (!url) return usage("--fetch-digest", "needs --url");
  return download(*url, kMaxModuleFile);
}

// What the module itself says: its digest, and what a node must have to match.
Status add_from_module(const RequestOptions& options, ncm::Message& message) {
  if (message.verb != ncm::Verb::kSetup) return {};
  NETSERV_ASSIGN(std::optional<Bytes> module, module_of(options, message));
  if (module) message.set("digest", to_hex(auth::sha256(*module)));
  const std::string* nodes = message.find("nodes");
  if (!nodes || *nodes != "matching" || message.find("dependencies") || message.find("signature")) return {};
  if (!module) return usage("--nodes", "matching needs to know what the module depends on: give --module-file or --dependencies");
  NETSERV_ASSIGN(compile::Manifest manifest, compile::manifest_of(*module));
  if (!manifest.blocks.empty()) message.set("dependencies", fmt::format("{}", fmt::join(manifest.blocks, ",")));
  return {};
}

Status add_signature(const RequestOptions& options, WallTime now, ncm::Message& message) {
  if (options.key_file.empty())
    return usage("--key", "is needed to sign (or NETSERV_KEY); make one with: netserv key new FILE");
  if (!options.user.empty()) message.set("user", options.user);
  if (!message.find("user")) return usage("--user", "is needed (or NETSERV_USER): your name in the node's configuration");
  if (!message.find("nonce")) {
    NETSERV_ASSIGN(std::string nonce, new_nonce());
    message.set("nonce", std::move(nonce));
  }
  if (!message.find("expires")) {
    auto until = std::chrono::floor<std::chrono::seconds>(now) + std::chrono::seconds(options.valid_seconds);
    message.set("expires", std::to_string(until.time_since_epoch().count()));
  }
  NETSERV_ASSIGN(auth::PrivateKey key, load_private_key(options.key_file));
  auth::sign_message(message, key);
  return {};
}

}  // namespace

Result<std::string> new_nonce() {
  std::array<std::byte, 16> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail(Origin::kSystem, "nonce", "the system's random source gave no bytes");
  return to_hex(bytes);
}

Result<auth::PrivateKey> load_private_key(const std::string& path) {
  NETSERV_ASSIGN(Bytes bytes, read_whole_file(path, 64 * 1024));
  auto key = auth::parse_private_key(as_text(bytes));
  if (!key) return fail(key.error().origin, path, key.error().text);
  return key;
}

Result<ncm::Message> build_request(const RequestOptions& options, WallTime now) {
  ncm::Message message;
  message.verb = options.verb;
  if (!options.file.empty()) {
    NETSERV_ASSIGN(message, message_from_file(options.file));
    if (message.verb != options.verb)
      return usage(options.file, fmt::format("holds a {}, not a {}", to_string(message.verb), to_string(options.verb)));
  }
  if (!options.object.empty()) message.object = options.object;
  if (message.object.empty()) return usage("ID", "is needed, such as NetMonitor_1.0.0");
  for (const auto& [name, value] : options.headers)
    if (!value.empty()) message.set(name, value);
  NETSERV_TRY(add_properties(options.properties, message));
  NETSERV_TRY(add_from_module(options, message));
  NETSERV_ASSIGN(ncm::Request draft, ncm::parse_request(message));
  const bool sign = options.always_signed || ncm::needs_signature(draft);
  if (sign && draft.signer.signature.empty()) NETSERV_TRY(add_signature(options, now, message));
  // What goes out is what a node can read: a command line can hold line ends and the like.
  NETSERV_ASSIGN(ncm::Message checked, ncm::parse_message(ncm::print_message(message)));
  NETSERV_TRY(ncm::parse_request(checked));
  return checked;
}

}  // namespace netserv::cli
