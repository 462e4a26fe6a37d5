#include "compile/object_text.h"

#include <fmt/format.h>

#include "netserv/abi.h"

namespace netserv::compile {
namespace {

// libwabt's own name mangling: letters but Z, digits and _ stay.
std::string mangle(std::string_view name) {
  std::string out = "Z_";
  for (char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c < 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (plain)
      out += c;
    else
      out += fmt::format("Z{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string c_string(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ';
    out += plain ? std::string(1, c) : fmt::format("\\{:03o}", static_cast<unsigned char>(c));
  }
  return out + "\"";
}

const char* c_type(char letter) { return letter == 'I' ? "u64" : "u32"; }

std::string import_stub(const KnownImport& import) {
  std::string parameters, arguments;
  for (std::size_t i = 0; i < import.parameters.size(); ++i) {
    parameters += fmt::format(", {} p{}", c_type(import.parameters[i]), i);
    arguments += fmt::format("{}p{}", i == 0 ? "" : ", ", i);
  }
  const char* result = import.result.empty() ? "void" : c_type(import.result[0]);
  const std::string body = import.member.empty()
                               ? fmt::format("return {};", import.fixed)
                               : fmt::format("{}netserv_host_->{}({});", import.result.empty() ? "" : "return ",
                                             import.member, arguments);
  return fmt::format("{} {}{}(struct {}_instance_t* n{}) {{ {} }}\n", result, mangle(import.module),
                     mangle(import.name), mangle(import.module), parameters, body);
}

struct Entry {
  const char* name;    // export
  const char* member;  // of struct netserv_object
  bool takes, gives;
};
constexpr Entry kEntries[] = {
    {"_initialize", "initialize", false, false},    {"netserv_start", "start", false, true},
    {"netserv_process", "process", true, false},    {"netserv_timer", "timer", true, false},
    {"netserv_readable", "readable", true, false},  {"netserv_properties", "properties", false, false},
    {"netserv_stop", "stop", false, false},
};

}  // namespace

std::string object_text(const ObjectFacts& facts) {
  const std::string module = std::string("Z_") + kCModuleName;
  const std::string instance = module + "_instance_t";
  std::string out = "\n/* netserv_object */\n";
  for (const KnownImport* import : facts.imports) out += import_stub(*import);

  std::string nulls;
  for (std::size_t i = 0; i < facts.import_modules; ++i) nulls += ", 0";
  out += "static void n_set_host(const struct netserv_host* host) { netserv_host_ = host; }\n";
  out += fmt::format(
      "static u32 n_instantiate(void* i, u32 a) {{\n  (void)a;\n  if (!s_module_initialized) {0}_init_module();\n"
      "  {0}_instantiate(i{1});\n  return 0;\n}}\n", module, nulls);
  out += fmt::format("static wasm_rt_memory_t* n_memory(void* i) {{ return {}Z_memory(i); }}\n", module);
  const bool window = facts.exports.count("netserv_window") != 0;
  const bool batch = facts.exports.count("netserv_batch") != 0;
  if (window) out += fmt::format("static u32 n_window(void* i) {{ return *{}Z_netserv_window(i); }}\n", module);
  if (batch) out += fmt::format("static u32 n_batch(void* i) {{ return *{}Z_netserv_batch(i); }}\n", module);
  std::string members;
  for (const Entry& entry : kEntries) {
    if (facts.exports.count(entry.name) == 0) continue;
    const std::string call = fmt::format("{}{}(i{})", module, mangle(entry.name), entry.takes ? ", a" : "");
    out += fmt::format("static u32 n_{}(void* i, u32 a) {{ (void)a; {} }}\n", entry.member,
                       entry.gives ? "return " + call + ";" : call + "; return 0;");
    members += fmt::format("  .{0} = n_{0},\n", entry.member);
  }

  std::string blocks;
  for (const std::string& block : facts.manifest.blocks) blocks += (blocks.empty() ? "" : " ") + block;
  out += "__attribute__((visibility(\"default\"))) const struct netserv_object netserv_object = {\n";
  out += "  .magic = NETSERV_OBJECT_MAGIC, .version = NETSERV_OBJECT_VERSION,\n";
  out += fmt::format("  .abi = {}, .wanted_pages = {},\n", facts.manifest.abi,
                     facts.manifest.memory_pages);
  out += fmt::format("  .manifest = {},\n", c_string(encode_manifest(facts.manifest)));
  out += fmt::format("  .name = {}, .module_version = {}, .blocks = {},\n", c_string(facts.manifest.name),
                     c_string(facts.manifest.version), c_string(blocks));
  out += fmt::format("  .instance_bytes = sizeof({}), .set_host = n_set_host, .instantiate = n_instantiate,\n", instance);
  out += fmt::format("  .memory = n_memory, .window = {}, .batch = {},\n", window ? "n_window" : "0",
                     batch ? "n_batch" : "0");
  out += members + "};\n";
  return out;
}

}  // namespace netserv::compile
