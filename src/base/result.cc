#include "base/result.h"

#include <cstring>

namespace netserv {

tl::unexpected<Error> fail_errno(std::string subject, std::string_view what, int error_number) {
  char buffer[128];
  std::string text(what);
  text += ": ";
  text += strerror_r(error_number, buffer, sizeof buffer);
  return fail(Origin::kSystem, std::move(subject), std::move(text));
}

}  // namespace netserv
