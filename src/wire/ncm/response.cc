#include "wire/ncm/response.h"

#include <fmt/format.h>

#include <charconv>

#include "wire/ncm/message.h"
#include "wire/ncm/reader.h"
#include "wire/ncm/value.h"

namespace netserv::ncm {
namespace {

constexpr std::size_t kMaxField = 1024;

std::string clean(std::string_view text, bool keep_blanks) {
  std::string out;
  for (char c : trim(text.substr(0, kMaxField))) {
    auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f) c = ' ';
    out += c == ' ' && !keep_blanks ? '_' : c;
  }
  return std::string(trim(out));
}

bool parse_number(std::string_view text, std::size_t& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view take_line(std::string_view& text) {
  std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Status parse_status_line(std::string_view line, Response& out) {
  std::string_view protocol = take_word(line), status_class = take_word(line), code = take_word(line),
                   object = take_word(line);
  if (protocol != kProtocol) return refuse(StatusCode::kVersion, "status line", "does not start with NETSERV/0.1");
  std::size_t class_number = 0, code_number = 0;
  if (!parse_number(status_class, class_number) || !parse_number(code, code_number) || class_number < 1 ||
      class_number > 6 || code_number / 100 != class_number || object.empty())
    return refuse(StatusCode::kSyntax, "status line", "is not \"NETSERV/0.1 CLASS CODE OBJECT text\"");
  out.code = static_cast<StatusCode>(code_number);
  if (object != "-") out.object = object;
  out.text = trim(line);
  return {};
}

}  // namespace

std::string print_response(const Response& r) {
  std::string object = clean(r.object, false);
  std::string out = fmt::format("{} {} {} {}", kProtocol, static_cast<int>(class_of(r.code)), number(r.code),
                                object.empty() ? "-" : object);
  if (std::string text = clean(r.text, true); !text.empty()) out += ' ' + text;
  out += '\n';
  for (auto [name, value] : {std::pair{"id", &r.id}, {"node", &r.node}, {"state", &r.state}})
    if (std::string v = clean(*value, true); !v.empty()) out += fmt::format("{}:{}\n", name, v);
  if (!r.body.empty()) out += fmt::format("content-length:{}\n", r.body.size());
  out += '\n';
  out += r.body;
  return out;
}

Result<ResponseHead> parse_response_head(std::string_view text) {
  if (text.size() > kMaxResponseHead) return refuse(StatusCode::kTooLarge, "response", "head too large");
  ResponseHead out;
  NETSERV_TRY(parse_status_line(take_line(text), out.response));
  while (true) {
    if (text.empty()) return refuse(StatusCode::kSyntax, "response", "does not end with a blank line");
    std::string_view line = take_line(text);
    if (trim(line).empty()) break;
    NETSERV_ASSIGN(Header header, parse_header_line(line));
    if (header.name == "id") out.response.id = header.value;
    if (header.name == "node") out.response.node = header.value;
    if (header.name == "state") out.response.state = header.value;
    if (header.name != "content-length") continue;
    if (!parse_number(header.value, out.content_length))
      return refuse(StatusCode::kBadValue, header.name, "is not a number");
    if (out.content_length > kMaxResponseBody)
      return refuse(StatusCode::kTooLarge, header.name, fmt::format("over {} bytes", kMaxResponseBody));
  }
  return out;
}

Result<Response> parse_response(std::string_view text) {
  ResponseReader reader;
  reader.feed(text);
  NETSERV_ASSIGN(std::optional<Response> response, reader.next());
  if (!response) return refuse(StatusCode::kSyntax, "response", "is cut short");
  if (reader.partial()) return refuse(StatusCode::kSyntax, "response", "bytes after its end");
  return std::move(*response);
}

Response response_to(const Error& error, std::string id, std::string node) {
  Response out;
  out.code = status_of(error);
  out.object = error.subject;
  out.text = error.text;
  out.id = std::move(id);
  out.node = std::move(node);
  return out;
}

}  // namespace netserv::ncm
