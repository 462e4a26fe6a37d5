#include "compile/limits_pass.h"

#include <optional>

#include "compile/wabt_features.h"
#include "wabt/binary-reader-nop.h"
#include "wabt/binary-reader.h"

namespace netserv::compile {
namespace {

using wabt::Index;
using wabt::Offset;
using wabt::Type;

class LimitsPass : public wabt::BinaryReaderNop {
 public:
  explicit LimitsPass(const CheckLimits& limits) : limits_(limits) {}

  std::optional<Error> error() const { return error_; }

  bool OnError(const wabt::Error& e) override {
    if (!error_) error_ = Error{Origin::kPublisher, "module", printable(e.message)};
    return true;
  }

  wabt::Result OnTypeCount(Index n) override { return at_most("types", n, limits_.types); }
  wabt::Result OnFuncType(Index, Index params, Type*, Index results, Type*) override {
    if (at_most("parameters of a function type", params, limits_.parameters) != wabt::Result::Ok)
      return wabt::Result::Error;
    return at_most("results of a function type", results, 16);
  }
  wabt::Result OnImportCount(Index n) override { return at_most("imports", n, limits_.imports); }
  wabt::Result OnFunctionCount(Index n) override { return at_most("functions", n, limits_.functions); }
  wabt::Result OnTableCount(Index n) override { return at_most("tables", n, 16); }
  wabt::Result OnTable(Index, Type, const wabt::Limits* l) override { return table(l); }
  wabt::Result OnMemoryCount(Index n) override { return at_most("memories", n, 1); }
  wabt::Result OnMemory(Index, const wabt::Limits* l) override {
    return at_most("64 KiB pages of memory at start", l->initial, limits_.memory_pages);
  }
  wabt::Result OnGlobalCount(Index n) override { return at_most("globals", n, limits_.globals); }
  wabt::Result OnExportCount(Index n) override { return at_most("exports", n, limits_.functions); }
  wabt::Result OnFunctionBodyCount(Index n) override { return at_most("functions", n, limits_.functions); }
  wabt::Result OnElemSegmentCount(Index n) override { return at_most("element segments", n, limits_.element_segments); }
  wabt::Result OnElemSegmentElemExprCount(Index, Index n) override {
    elements_ += n;
    return at_most("elements in all segments", elements_, limits_.table_elements);
  }
  wabt::Result OnDataSegmentCount(Index n) override { return at_most("data segments", n, limits_.data_segments); }
  wabt::Result OnDataCount(Index n) override { return at_most("data segments", n, limits_.data_segments); }
  wabt::Result OnDataSegmentData(Index, const void*, wabt::Address size) override {
    data_bytes_ += size;
    return at_most("bytes of data", data_bytes_, limits_.data_bytes);
  }

  wabt::Result BeginFunctionBody(Index index, Offset size) override {
    function_ = index;
    locals_ = 0;
    depth_ = 0;
    return at_most("bytes of body", size, limits_.function_bytes);
  }
  wabt::Result EndFunctionBody(Index) override {
    function_.reset();
    return wabt::Result::Ok;
  }
  wabt::Result OnLocalDeclCount(Index n) override { return at_most("declarations of locals", n, limits_.locals); }
  wabt::Result OnLocalDecl(Index, Index count, Type) override {
    locals_ += count;
    return at_most("locals", locals_, limits_.locals);
  }
  wabt::Result OnBlockExpr(Type) override { return deeper(); }
  wabt::Result OnLoopExpr(Type) override { return deeper(); }
  wabt::Result OnIfExpr(Type) override { return deeper(); }
  wabt::Result OnTryExpr(Type) override { return deeper(); }
  wabt::Result OnEndExpr() override {
    if (depth_ > 0) --depth_;
    return wabt::Result::Ok;
  }
  wabt::Result OnBrTableExpr(Index n, Index*, Index) override {
    return at_most("targets of a br_table", n, limits_.branch_targets);
  }

 private:
  wabt::Result deeper() { return at_most("blocks within each other", ++depth_, limits_.nesting); }
  wabt::Result table(const wabt::Limits* l) {
    table_elements_ += l->initial;
    return at_most("table elements", table_elements_, limits_.table_elements);
  }
  wabt::Result at_most(const char* what, std::uint64_t n, std::uint64_t limit) {
    if (n <= limit) return wabt::Result::Ok;
    const std::string subject = function_ ? "function " + std::to_string(*function_) : "module";
    error_ = Error{Origin::kPublisher, subject,
                   "has " + std::to_string(n) + " " + what + ", at most " + std::to_string(limit) + " are allowed"};
    return wabt::Result::Error;
  }

  const CheckLimits& limits_;
  std::optional<Error> error_;
  std::optional<Index> function_;
  std::uint64_t locals_ = 0, depth_ = 0, elements_ = 0, table_elements_ = 0, data_bytes_ = 0;
};

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 200)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out;
}

Status check_limits(ByteSpan wasm, const CheckLimits& limits) {
  if (wasm.size() > limits.module_bytes)
    return fail(Origin::kPublisher, "module", "is " + std::to_string(wasm.size()) + " bytes long, at most " +
                                                  std::to_string(limits.module_bytes) + " are allowed");
  LimitsPass pass(limits);
  wabt::ReadBinaryOptions options(module_features(), nullptr, false, true, true);
  const wabt::Result result = wabt::ReadBinary(wasm.data(), wasm.size(), &pass, options);
  if (pass.error()) return fail(*pass.error());
  if (wabt::Failed(result)) return fail(Origin::kPublisher, "module", "is malformed");
  return {};
}

}  // namespace netserv::compile
