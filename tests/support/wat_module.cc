#include "support/wat_module.h"

#include <filesystem>

#include "compile/check.h"
#include "compile/compiler.h"
#include "wabt/binary-writer.h"
#include "wabt/error-formatter.h"
#include "wabt/ir.h"
#include "wabt/stream.h"
#include "wabt/wast-lexer.h"
#include "wabt/wast-parser.h"

namespace netserv::test {

Bytes assemble(std::string_view wat) {
  wabt::Errors errors;
  auto lexer = wabt::WastLexer::CreateBufferLexer("test.wat", wat.data(), wat.size(), &errors);
  wabt::Features features;
  features.EnableAll();
  features.disable_memory64();
  features.disable_multi_memory();
  wabt::WastParseOptions options(features);
  std::unique_ptr<wabt::Module> module;
  if (wabt::Failed(wabt::ParseWatModule(lexer.get(), &module, &errors, &options))) {
    for (const auto& error : errors) std::fprintf(stderr, "%s\n", error.message.c_str());
    std::abort();
  }
  wabt::MemoryStream stream;
  wabt::WriteBinaryOptions write_options;
  write_options.features = features;
  NETSERV_CHECK(wabt::Succeeded(wabt::WriteBinaryModule(&stream, module.get(), write_options)));
  const auto& data = stream.output_buffer().data;
  const auto* begin = reinterpret_cast<const std::byte*>(data.data());
  return Bytes(begin, begin + data.size());
}

namespace {

void append_leb(Bytes& out, std::size_t value) {
  do {
    auto byte = static_cast<std::uint8_t>(value & 0x7f);
    value >>= 7;
    if (value != 0) byte |= 0x80;
    out.push_back(std::byte{byte});
  } while (value != 0);
}

void append(Bytes& out, std::string_view text) {
  const ByteSpan bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

Bytes with_section(Bytes wasm, std::string_view name, std::string_view payload) {
  Bytes body;
  append_leb(body, name.size());
  append(body, name);
  append(body, payload);
  wasm.push_back(std::byte{0});
  append_leb(wasm, body.size());
  wasm.insert(wasm.end(), body.begin(), body.end());
  return wasm;
}

Bytes with_manifest(std::string_view wat, std::string_view manifest) {
  return with_section(assemble(wat), "netserv.manifest", manifest);
}

std::string packet_module(std::string_view functions, std::string_view imports) {
  return "(module " + std::string(imports) +
         R"((memory (export "memory") 33)
            (global (export "netserv_window") i32 (i32.const 65536))
            (global (export "netserv_batch") i32 (i32.const 4096)) )" +
         std::string(functions) + ")";
}

Result<std::string> compile(ByteSpan wasm, const std::string& folder, const std::string& name) {
  NETSERV_ASSIGN(const compile::CheckedModule module, compile::check_module(wasm));
  const std::string work = folder + "/" + name + ".work";
  std::filesystem::create_directories(work);
  const std::string object = folder + "/" + name + ".so";
  NETSERV_TRY(compile::build_object(module, work, object));
  return object;
}

}  // namespace netserv::test
