#include "compile/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "netserv/abi.h"
#include "wire/ncm/request.h"

namespace netserv::compile {
namespace {

constexpr std::size_t kMaxSectionBytes = 4096;
constexpr std::size_t kMaxBlocks = 32;

using Json = nlohmann::json;

tl::unexpected<Error> bad(std::string key, std::string text) {
  return fail(Origin::kPublisher, key.empty() ? "manifest" : "manifest " + key, std::move(text));
}

bool is_word(std::string_view text, std::size_t max, bool slash) {
  if (text.empty() || text.size() > max) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || (slash && c == '/');
  });
}

Result<std::string> word(const Json& object, const char* key, std::size_t max) {
  const auto at = object.find(key);
  if (at == object.end()) return bad(key, "is missing");
  if (!at->is_string()) return bad(key, "must be a string");
  const auto& text = at->get_ref<const std::string&>();
  if (!is_word(text, max, false))
    return bad(key, "must be 1 to " + std::to_string(max) + " letters, digits, '.', '-' or '_'");
  return text;
}

Result<std::uint32_t> number(const Json& object, const char* key, std::uint32_t max) {
  const auto at = object.find(key);
  if (at == object.end()) return bad(key, "is missing");
  if (!at->is_number_unsigned() || at->get<std::uint64_t>() > max)
    return bad(key, "must be a number from 0 to " + std::to_string(max));
  return at->get<std::uint32_t>();
}

Status read_kind(const Json& object, Manifest& out) {
  const auto at = object.find("kind");
  if (at == object.end()) return bad("kind", "is missing");
  if (!at->is_array() || at->empty() || at->size() > 2) return bad("kind", "must be [\"packet\"], [\"server\"] or both");
  for (const Json& kind : *at) {
    bool& flag = kind == "packet" ? out.packet : out.server;
    if ((kind != "packet" && kind != "server") || flag) return bad("kind", "knows \"packet\" and \"server\", each once");
    flag = true;
  }
  return {};
}

Status read_blocks(const Json& object, Manifest& out) {
  const auto at = object.find("blocks");
  if (at == object.end()) return {};
  if (!at->is_array() || at->size() > kMaxBlocks)
    return bad("blocks", "must be a list of at most " + std::to_string(kMaxBlocks) + " building blocks");
  for (const Json& block : *at) {
    if (!block.is_string() || !is_word(block.get_ref<const std::string&>(), 64, true))
      return bad("blocks", "must hold names such as \"packet/1\"");
    out.blocks.push_back(block.get<std::string>());
  }
  std::vector<std::string> sorted = out.blocks;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) return bad("blocks", "names a block twice");
  return {};
}

}  // namespace

Result<Manifest> decode_manifest(std::string_view json) {
  if (json.size() > kMaxSectionBytes) return bad("", "is longer than 4096 bytes");
  // A depth bound by hand: the parser would follow brackets as deep as there are bytes.
  int depth = 0;
  for (char c : json) {
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    if (depth > 8) return bad("", "is nested too deep");
  }
  const Json object = Json::parse(json.begin(), json.end(), nullptr, false);
  if (object.is_discarded() || !object.is_object()) return bad("", "is not a JSON object");
  Manifest out;
  NETSERV_ASSIGN(out.abi, number(object, "abi", 0xffffffff));
  if (out.abi != NETSERV_ABI_VERSION)
    return bad("abi", "module was built for ABI " + std::to_string(out.abi) + ", this node runs ABI " +
                          std::to_string(NETSERV_ABI_VERSION) + ": build it with a matching SDK");
  NETSERV_ASSIGN(out.name, word(object, "name", 128));
  NETSERV_ASSIGN(out.version, word(object, "version", 32));
  const std::string id = out.name + "_" + out.version;
  if (out.version.find('_') != std::string::npos || out.version[0] < '0' || out.version[0] > '9')
    return bad("version", "must begin with a digit and hold no '_', as in an id");
  if (auto name = ncm::parse_module_name(id); !name) return bad("name", "gives no id " + id + ": " + name.error().text);
  NETSERV_TRY(read_kind(object, out));
  NETSERV_TRY(read_blocks(object, out));
  if (const auto at = object.find("observer"); at != object.end()) {
    if (!at->is_boolean()) return bad("observer", "must be true or false");
    out.observer = at->get<bool>();
  }
  if (object.contains("memory_pages")) {
    NETSERV_ASSIGN(out.memory_pages, number(object, "memory_pages", 65535));
  }
  return out;
}

std::string encode_manifest(const Manifest& m) {
  Json kind = Json::array();
  if (m.packet) kind.push_back("packet");
  if (m.server) kind.push_back("server");
  Json object = {{"name", m.name}, {"version", m.version}, {"abi", m.abi},
                 {"kind", kind},   {"blocks", m.blocks},   {"observer", m.observer}};
  if (m.memory_pages != 0) object["memory_pages"] = m.memory_pages;
  return object.dump();
}

namespace {

// LEB128, at most 32 bits.
std::uint32_t leb(ByteReader& reader) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    const std::uint8_t byte = reader.u8();
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) {
      if (value > 0xffffffff) reader.set_failed();
      return static_cast<std::uint32_t>(value);
    }
  }
  reader.set_failed();
  return 0;
}

}  // namespace

Result<SplitFile> split_file(ByteSpan wasm) {
  ByteReader reader(wasm);
  if (reader.u32() != 0x0061736d || reader.u32() != 0x01000000 || !reader.ok())
    return fail(Origin::kPublisher, "module", "is not a WebAssembly file (version 1)");
  SplitFile out;
  bool seen = false;
  out.code.assign(wasm.begin(), wasm.begin() + 8);
  while (reader.ok() && reader.remaining() > 0) {
    const std::size_t start = reader.position();
    const std::uint8_t id = reader.u8();
    const std::uint32_t bytes = leb(reader);
    ByteReader section = reader.sub(bytes);
    if (!reader.ok()) break;
    if (id != 0) {
      out.code.insert(out.code.end(), wasm.begin() + static_cast<std::ptrdiff_t>(start),
                      wasm.begin() + static_cast<std::ptrdiff_t>(reader.position()));
      continue;
    }
    const std::uint32_t length = leb(section);
    const std::string_view name = as_text(section.take(length));
    if (!section.ok()) reader.set_failed();
    if (name != "netserv.manifest") continue;
    if (seen) return bad("", "is there twice");
    seen = true;
    out.manifest = as_text(section.rest());
  }
  if (!reader.ok()) return fail(Origin::kPublisher, "module", "is cut short or has a malformed section");
  if (!seen) return bad("", "is missing: the file has no custom section \"netserv.manifest\"");
  return out;
}

Result<Manifest> manifest_of(ByteSpan wasm) {
  NETSERV_ASSIGN(const SplitFile file, split_file(wasm));
  return decode_manifest(file.manifest);
}

}  // namespace netserv::compile
