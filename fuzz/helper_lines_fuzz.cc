// Lines of JSON between netservd and its helpers, which have read a stranger's bytes: the download helper's job, progress
// and answer, the notification helper's report, the compile helper's answer and the manifest in it. What decodes
// encodes to what decodes to itself.
#include <cstdint>

#include "compile/answer.h"
#include "compile/manifest.h"
#include "fetch/job.h"

using namespace netserv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  if (auto job = fetch::decode_job(line)) {
    auto again = fetch::decode_job(fetch::encode_job(*job));
    NETSERV_CHECK(again && *again == *job);
  }
  if (auto answer = fetch::decode_answer(line)) {
    auto again = fetch::decode_answer(fetch::encode_answer(answer));
    NETSERV_CHECK(again && *again == *answer);
  } else {
    NETSERV_CHECK(fetch::decode_answer(fetch::encode_answer(answer)).error() == answer.error());
  }
  if (auto notified = fetch::decode_notified(line)) {
    auto again = fetch::decode_notified(fetch::encode_notified(*notified));
    NETSERV_CHECK(again && *again == *notified);
  }
  fetch::Progress progress;
  (void)fetch::decode_progress(line, progress);
  (void)compile::decode_answer(line);
  if (auto manifest = compile::decode_manifest(line)) {
    auto again = compile::decode_manifest(compile::encode_manifest(*manifest));
    NETSERV_CHECK(again && *again == *manifest);
  }
  return 0;
}
