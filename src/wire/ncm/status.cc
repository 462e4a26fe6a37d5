#include "wire/ncm/status.h"

#include <fmt/format.h>

namespace netserv::ncm {
namespace {

constexpr StatusRow kTable[] = {
#define NETSERV_NCM_ROW(constant, number, meaning) {StatusCode::constant, std::string_view(#constant).substr(1), meaning},
    NETSERV_NCM_STATUS_TABLE(NETSERV_NCM_ROW)
#undef NETSERV_NCM_ROW
};

}  // namespace

std::span<const StatusRow> status_table() { return kTable; }

std::optional<StatusRow> find_status(StatusCode code) {
  for (const StatusRow& row : kTable)
    if (row.code == code) return row;
  return std::nullopt;
}

std::string_view to_string(StatusClass status_class) {
  switch (status_class) {
    case StatusClass::kInformational: return "informational";
    case StatusClass::kSuccess: return "success";
    case StatusClass::kProtocolError: return "protocol error";
    case StatusClass::kTransientFailure: return "transient failure";
    case StatusClass::kPermanentFailure: return "permanent failure";
    case StatusClass::kSignallingFailure: return "signalling failure";
  }
  return "unknown class";
}

std::string status_table_markdown() {
  std::string out =
      "# NCM response codes\n\n"
      "Made from `src/wire/ncm/status.h`; `netserv_wire_ncm_test` compares, and prints this page when it "
      "differs.\n\n| class | code | name | meaning |\n|---|---|---|---|\n";
  for (const StatusRow& row : kTable) {
    StatusClass c = class_of(row.code);
    out += fmt::format("| {} {} | {} | {} | {} |\n", static_cast<int>(c), to_string(c), number(row.code), row.name,
                       row.meaning);
  }
  return out;
}

tl::unexpected<Error> refuse(StatusCode code, std::string subject, std::string text) {
  Origin origin = class_of(code) == StatusClass::kTransientFailure ? Origin::kSystem : Origin::kPublisher;
  return fail(origin, std::move(subject), std::move(text), number(code));
}

StatusCode status_of(const Error& error) {
  if (error.code < 100 || error.code > 699) return StatusCode::kInternal;
  return static_cast<StatusCode>(error.code);
}

}  // namespace netserv::ncm
