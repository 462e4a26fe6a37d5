#include "wire/ncm/reader.h"

#include <fmt/format.h>

#include "wire/ncm/status.h"

namespace netserv::ncm {
namespace {

bool is_blank_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return trim(line).empty();
}

void drop_blank_lines(std::string& text) {
  std::size_t from = 0;
  while (true) {
    std::size_t end = text.find('\n', from);
    if (end == std::string::npos || !is_blank_line(std::string_view(text).substr(from, end - from))) break;
    from = end + 1;
  }
  text.erase(0, from);
}

}  // namespace

std::size_t find_head_end(std::string_view text) {
  std::size_t from = 0;
  while (true) {
    std::size_t end = text.find('\n', from);
    if (end == std::string_view::npos) return std::string_view::npos;
    if (from > 0 && is_blank_line(text.substr(from, end - from))) return end + 1;
    from = end + 1;
  }
}

Result<std::optional<Message>> MessageReader::next() {
  drop_blank_lines(buffer_);
  std::size_t length = find_head_end(buffer_);
  if (length == std::string::npos) {
    if (buffer_.size() > kMaxMessageBytes)
      return refuse(StatusCode::kTooLarge, "message", fmt::format("larger than {} bytes", kMaxMessageBytes));
    return std::optional<Message>();
  }
  NETSERV_ASSIGN(Message message, parse_message(std::string_view(buffer_).substr(0, length)));
  buffer_.erase(0, length);
  return std::optional<Message>(std::move(message));
}

Result<std::optional<Response>> ResponseReader::next() {
  std::size_t length = find_head_end(buffer_);
  if (length == std::string::npos) {
    if (buffer_.size() > kMaxResponseHead) return refuse(StatusCode::kTooLarge, "response", "head too large");
    return std::optional<Response>();
  }
  NETSERV_ASSIGN(ResponseHead head, parse_response_head(std::string_view(buffer_).substr(0, length)));
  if (buffer_.size() - length < head.content_length) return std::optional<Response>();
  head.response.body = buffer_.substr(length, head.content_length);
  buffer_.erase(0, length + head.content_length);
  return std::optional<Response>(std::move(head.response));
}

}  // namespace netserv::ncm
