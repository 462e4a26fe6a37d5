#include "daemons/netservd/installer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "compile/answer.h"
#include "daemons/netservd/settings.h"
#include "fetch/job.h"
#include "wire/ncm/request.h"
#include "wire/ncm/status.h"

namespace netserv::daemon {

using ncm::StatusCode;

namespace {
// What modules of the past may take on the disk; those installed are not removed.
constexpr std::uint64_t kMostCached = std::uint64_t{512} << 20;

// Progress comes before the answer, a line each.
std::string_view last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  auto at = text.rfind('\n');
  return at == std::string_view::npos ? text : text.substr(at + 1);
}
}  // namespace

Installer::Installer(sys::EventLoop& loop, const config::Config& config, std::string programs, std::string work_folder,
                     compile::ModuleCache& cache, std::function<void(node::Event)> emit)
    : loop_(loop), config_(config), programs_(std::move(programs)), work_folder_(std::move(work_folder)),
      cache_(cache), emit_(std::move(emit)) {}

Result<node::Artifact> Installer::granted(const PublisherId& publisher, const compile::ModuleCache::Entry& entry) {
  node::Artifact artifact;
  NETSERV_ASSIGN(artifact.object, cache_.grant(publisher, entry));
  artifact.name = entry.manifest.name;
  artifact.version = entry.manifest.version;
  artifact.blocks = entry.manifest.blocks;
  artifact.observer = entry.manifest.observer;
  artifact.memory_pages = entry.manifest.memory_pages;
  return artifact;
}

std::optional<node::Artifact> Installer::cached(const PublisherId& publisher, const std::string& digest_hex) {
  auto digest = ncm::parse_digest(digest_hex);
  if (!digest) return std::nullopt;
  auto entry = cache_.find(*digest);
  if (!entry) return std::nullopt;
  auto artifact = granted(publisher, *entry);
  return artifact ? std::optional(*artifact) : std::nullopt;
}

void Installer::fetch(const node::Fetch& action) {
  Job& job = jobs_[action.sequence];
  job.wasm = fmt::format("{}/{}.wasm", work_folder_, action.sequence);
  job.object = fmt::format("{}/{}.so", work_folder_, action.sequence);
  fetch::FetchJob what;
  what.url = action.url;
  what.output = job.wasm;
  what.sha256 = action.digest;
  what.max_bytes = config_.helpers.module_bytes;
  what.deadline = std::chrono::seconds(config_.helpers.fetch_seconds);
  what.rules = address_rules(config_);
  if (config_.helpers.user_id != 0) what.identity = {config_.helpers.user_id, config_.helpers.user_id};
  auto done = [this, action](Result<std::string> answer) {
    auto it = jobs_.find(action.sequence);
    if (it == jobs_.end()) return;
    auto result = fetched(action, it->second, std::move(answer));
    if (!result || *result) cancel(action.sequence);
    emit_(node::Fetched{action.key, action.sequence, std::move(result)});
  };
  auto process = HelperProcess::start(loop_, {programs_ + "/netserv-fetch"}, fetch::encode_job(what) + "\n",
                                      std::chrono::seconds(config_.helpers.fetch_seconds + 5), done);
  if (process)
    job.process = std::move(*process);
  else
    loop_.post([done, error = process.error()] { done(tl::unexpected<Error>(error)); });
}

Result<std::optional<node::Artifact>> Installer::fetched(const node::Fetch& action, Job& job, Result<std::string> answer) {
  if (!answer)
    return ncm::refuse(answer.error().code == ETIMEDOUT ? StatusCode::kFetchTimeout : StatusCode::kInternal, "url",
                       answer.error().message());
  auto downloaded = fetch::decode_answer(last_line(*answer));
  if (!downloaded) return tl::unexpected<Error>(downloaded.error());
  // What is compiled is what was signed: looked at again here, not believed.
  auto digest = compile::digest_of_file(job.wasm);
  if (!digest) return ncm::refuse(StatusCode::kInternal, job.wasm, digest.error().message());
  job.digest = *digest;
  if (!action.digest.empty() && compile::to_hex(*digest) != action.digest)
    return ncm::refuse(StatusCode::kDigestMismatch, "digest", "what was downloaded is not what was signed");
  auto entry = cache_.find(*digest);
  if (!entry) return std::optional<node::Artifact>{};
  NETSERV_ASSIGN(node::Artifact artifact, granted(action.key.publisher, *entry));
  return std::optional(artifact);
}

void Installer::compile(const node::Compile& action) {
  Job& job = jobs_[action.sequence];
  std::vector<std::string> argv = {programs_ + "/netserv-compile", "--scratch", work_folder_,
                                   "--deadline-ms", std::to_string(config_.helpers.compile_seconds * 1000),
                                   "--max-module-bytes", std::to_string(config_.helpers.module_bytes),
                                   job.wasm, job.object};
  if (config_.helpers.user_id != 0)
    argv.insert(argv.end(), {"--user", fmt::format("{0}:{0}", config_.helpers.user_id)});
  auto done = [this, action](Result<std::string> answer) {
    auto it = jobs_.find(action.sequence);
    if (it == jobs_.end()) return;
    auto result = compiled(action, it->second, std::move(answer));
    cancel(action.sequence);
    emit_(node::Compiled{action.key, action.sequence, std::move(result)});
  };
  job.process.reset();
  auto process = HelperProcess::start(loop_, argv, {}, std::chrono::seconds(config_.helpers.compile_seconds + 5), done);
  if (process)
    job.process = std::move(*process);
  else
    loop_.post([done, error = process.error()] { done(tl::unexpected<Error>(error)); });
}

Result<node::Artifact> Installer::compiled(const node::Compile& action, Job& job, Result<std::string> answer) {
  if (!answer) return ncm::refuse(StatusCode::kCompileFailed, "module", answer.error().message());
  auto result = compile::decode_answer(last_line(*answer));
  if (!result) {
    Error error = result.error();
    if (error.code == 0 && error.subject == "manifest abi") error.code = ncm::number(StatusCode::kAbiMismatch);
    if (error.code == 0)
      error.code = ncm::number(error.origin == Origin::kPublisher ? StatusCode::kModuleInvalid : StatusCode::kOverloaded);
    return tl::unexpected<Error>(error);
  }
  auto entry = cache_.add(job.digest, job.object, result->manifest);
  if (!entry) return ncm::refuse(StatusCode::kOverloaded, entry.error().subject, entry.error().text);
  auto artifact = granted(action.key.publisher, *entry);
  cache_.trim(kMostCached);
  return artifact;
}

void Installer::cancel(std::uint64_t sequence) {
  auto it = jobs_.find(sequence);
  if (it == jobs_.end()) return;
  ::unlink(it->second.wasm.c_str());
  ::unlink(it->second.object.c_str());
  // Called from the process's own callback too: let that return first.
  loop_.post([gone = std::make_shared<Job>(std::move(it->second))]() mutable { gone.reset(); });
  jobs_.erase(it);
}

}  // namespace netserv::daemon
