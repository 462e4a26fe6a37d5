#include "compile/check.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "compile/imports.h"
#include "compile/limits_pass.h"
#include "compile/memory_access.h"
#include "compile/object_text.h"
#include "compile/wabt_features.h"
#include "netserv/abi.h"
#include "wabt/apply-names.h"
#include "wabt/binary-reader-ir.h"
#include "wabt/binary-reader.h"
#include "wabt/c-writer.h"
#include "wabt/generate-names.h"
#include "wabt/ir.h"
#include "wabt/stream.h"
#include "wabt/validator.h"

namespace netserv::compile {
namespace {

tl::unexpected<Error> bad(std::string subject, std::string text) {
  return fail(Origin::kPublisher, std::move(subject), std::move(text));
}

std::string first_error(const wabt::Errors& errors, const char* otherwise) {
  return errors.empty() ? otherwise : printable(errors.front().message);
}

std::string letters(const wabt::TypeVector& types) {
  std::string out;
  for (const wabt::Type& type : types) {
    switch (static_cast<wabt::Type::Enum>(type)) {
      case wabt::Type::I32: out += 'i'; break;
      case wabt::Type::I64: out += 'I'; break;
      case wabt::Type::F32: out += 'f'; break;
      case wabt::Type::F64: out += 'F'; break;
      default: out += 'r'; break;
    }
  }
  return out;
}

std::string spell(std::string_view parameters, std::string_view results) {
  auto list = [](std::string_view text) {
    std::string out;
    for (char c : text) {
      if (!out.empty()) out += ", ";
      out += c == 'i' ? "i32" : c == 'I' ? "i64" : c == 'f' ? "f32" : c == 'F' ? "f64" : "reference";
    }
    return "(" + out + ")";
  };
  return list(parameters) + " -> " + list(results);
}

Status check_imports(const wabt::Module& module, const Manifest& manifest, ObjectFacts& facts, CheckedModule& out) {
  std::set<std::string_view> modules;
  for (const wabt::Import* import : module.imports) {
    const std::string subject = "import " + printable(import->module_name) + " " + printable(import->field_name);
    if (import->kind() != wabt::ExternalKind::Func)
      return bad(subject, "is no function: a module brings its own memory, tables and globals");
    const KnownImport* known = find_import(import->module_name, import->field_name);
    if (known == nullptr) return bad(subject, "is not a function of any building block of this node");
    const auto& signature = static_cast<const wabt::FuncImport*>(import)->func.decl.sig;
    const std::string parameters = letters(signature.param_types), results = letters(signature.result_types);
    if (parameters != known->parameters || results != known->result)
      return bad(subject, "has the type " + spell(parameters, results) + ", the building block's is " +
                              spell(known->parameters, known->result));
    if (known->module != kWasi &&
        std::find(manifest.blocks.begin(), manifest.blocks.end(), known->module) == manifest.blocks.end())
      return bad(subject, "needs the building block, which the manifest's blocks do not name");
    if (std::find(facts.imports.begin(), facts.imports.end(), known) != facts.imports.end())
      return bad(subject, "is there twice");
    facts.imports.push_back(known);
    modules.insert(known->module);
    out.imports.push_back(std::string(known->module) + " " + std::string(known->name));
  }
  facts.import_modules = modules.size();
  return {};
}

struct KnownExport {
  std::string_view name;
  wabt::ExternalKind kind;
  std::string_view parameters, result;
};
constexpr KnownExport kExports[] = {
    {"memory", wabt::ExternalKind::Memory, "", ""},
    {"netserv_window", wabt::ExternalKind::Global, "", ""},
    {"netserv_batch", wabt::ExternalKind::Global, "", ""},
    {"_initialize", wabt::ExternalKind::Func, "", ""},
    {"netserv_start", wabt::ExternalKind::Func, "", "i"},
    {"netserv_process", wabt::ExternalKind::Func, "i", ""},
    {"netserv_timer", wabt::ExternalKind::Func, "i", ""},
    {"netserv_readable", wabt::ExternalKind::Func, "i", ""},
    {"netserv_properties", wabt::ExternalKind::Func, "", ""},
    {"netserv_stop", wabt::ExternalKind::Func, "", ""},
};

// Keeps the ABI's exports, checked, and drops all others, so that no other name reaches the C writer.
Status check_exports(wabt::Module& module, ObjectFacts& facts) {
  std::vector<wabt::Export*> kept;
  for (wabt::Export* item : module.exports) {
    const KnownExport* known = nullptr;
    for (const KnownExport& candidate : kExports)
      if (candidate.name == item->name) known = &candidate;
    if (known == nullptr) {
      item->name = "dropped";
      continue;
    }
    const std::string subject = "export " + item->name;
    if (item->kind != known->kind) return bad(subject, "is of the wrong kind");
    if (item->kind == wabt::ExternalKind::Func) {
      const wabt::Func* function = module.GetFunc(item->var);
      if (function == nullptr) return bad(subject, "names no function");
      if (module.IsImport(*item)) return bad(subject, "is an import");
      const std::string parameters = letters(function->decl.sig.param_types);
      const std::string results = letters(function->decl.sig.result_types);
      if (parameters != known->parameters || results != known->result)
        return bad(subject, "has the type " + spell(parameters, results) + ", the ABI's is " +
                                spell(known->parameters, known->result));
    }
    if (!facts.exports.insert(item->name).second) return bad(subject, "is there twice");
    kept.push_back(item);
  }
  module.exports = std::move(kept);
  module.export_bindings.clear();
  for (wabt::Index i = 0; i < module.exports.size(); ++i)
    module.export_bindings.emplace(module.exports[i]->name, wabt::Binding(i));
  return {};
}

// An exported address: an immutable i32 global with a constant value.
Result<std::uint64_t> address_of(const wabt::Module& module, std::string_view name) {
  const std::string subject = "export " + std::string(name);
  const wabt::Export* item = module.GetExport(name);
  const wabt::Global* global = item == nullptr ? nullptr : module.GetGlobal(item->var);
  if (global == nullptr) return bad(subject, "is missing");
  if (global->type != wabt::Type::I32 || global->mutable_ || global->init_expr.size() != 1 ||
      global->init_expr.front().type() != wabt::ExprType::Const)
    return bad(subject, "must be an immutable i32 global with a constant value");
  return static_cast<const wabt::ConstExpr&>(global->init_expr.front()).const_.u32();
}

Status check_shape(const wabt::Module& module, const ObjectFacts& facts) {
  const Manifest& manifest = facts.manifest;
  auto has = [&](const char* name) { return facts.exports.count(name) != 0; };
  if (module.memories.size() != 1 || !has("memory")) return bad("export memory", "is missing");
  if (manifest.packet && !has("netserv_process"))
    return bad("export netserv_process", "is missing, and the manifest's kind says \"packet\"");
  if (!manifest.packet && has("netserv_process"))
    return bad("export netserv_process", "is there, but the manifest's kind does not say \"packet\"");
  if (!manifest.packet) return {};

  const std::uint64_t memory = module.memories[0]->page_limits.initial * 65536;
  NETSERV_ASSIGN(const std::uint64_t window, address_of(module, "netserv_window"));
  NETSERV_ASSIGN(const std::uint64_t batch, address_of(module, "netserv_batch"));
  const std::uint64_t batch_bytes = NETSERV_BATCH_MAX * sizeof(netserv_packet);
  if (window % NETSERV_WINDOW_ALIGNMENT != 0) return bad("export netserv_window", "is not aligned to 65536 bytes");
  if (window == 0 || window + NETSERV_WINDOW_BYTES > memory)
    return bad("export netserv_window", "does not lie within the memory");
  if (batch % 8 != 0 || batch == 0 || batch + batch_bytes > memory)
    return bad("export netserv_batch", "is not aligned to 8 bytes or does not lie within the memory");
  if (batch < window + NETSERV_WINDOW_BYTES && window < batch + batch_bytes)
    return bad("export netserv_batch", "overlaps netserv_window");
  return {};
}

std::string text_of(const wabt::MemoryStream& stream) {
  const auto& data = const_cast<wabt::MemoryStream&>(stream).output_buffer().data;
  return std::string(data.begin(), data.end());
}

}  // namespace

Result<CheckedModule> check_module(ByteSpan wasm, const CheckLimits& limits) {
  if (wasm.size() > limits.module_bytes)
    return bad("module", "is " + std::to_string(wasm.size()) + " bytes long, at most " +
                             std::to_string(limits.module_bytes) + " are allowed");
  NETSERV_ASSIGN(const SplitFile file, split_file(wasm));
  CheckedModule out;
  NETSERV_ASSIGN(out.manifest, decode_manifest(file.manifest));
  NETSERV_TRY(check_limits(file.code, limits));

  wabt::Module module;
  wabt::Errors errors;
  const wabt::ReadBinaryOptions options(module_features(), nullptr, false, true, true);
  if (wabt::Failed(wabt::ReadBinaryIr("module", file.code.data(), file.code.size(), options, &errors, &module)))
    return bad("module", first_error(errors, "is malformed"));
  if (wabt::Failed(wabt::ValidateModule(&module, &errors, wabt::ValidateOptions(module_features()))))
    return bad("module", "is not valid: " + first_error(errors, "unknown reason"));

  ObjectFacts facts;
  facts.manifest = out.manifest;
  NETSERV_TRY(check_imports(module, out.manifest, facts, out));
  NETSERV_TRY(check_exports(module, facts));
  NETSERV_TRY(check_shape(module, facts));
  out.memory_pages = static_cast<std::uint32_t>(module.memories[0]->page_limits.initial);
  if (out.manifest.memory_pages != 0 && out.memory_pages > out.manifest.memory_pages)
    return bad("manifest memory_pages", "is " + std::to_string(out.manifest.memory_pages) + ", but the module starts with " +
                                            std::to_string(out.memory_pages));
  out.exports.assign(facts.exports.begin(), facts.exports.end());

  if (wabt::Failed(wabt::GenerateNames(&module)) || wabt::Failed(wabt::ApplyNames(&module)))
    return bad("module", "can't be given names");
  wabt::MemoryStream c_stream, h_stream;
  wabt::WriteCOptions c_options;
  c_options.module_name = kCModuleName;
  if (wabt::Failed(wabt::WriteC(&c_stream, &h_stream, "module.h", &module, c_options)))
    return bad("module", "can't be written as C");
  out.c_header = text_of(h_stream);
  out.c_source = text_of(c_stream);
  if (!use_own_memory_access(out.c_source))
    return fail(Origin::kSystem, "libwabt", "is not version 1.0.32, whose C writer this pipeline is made for");
  out.c_source += object_text(facts);
  return out;
}

}  // namespace netserv::compile
