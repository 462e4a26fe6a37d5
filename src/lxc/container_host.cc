#include "lxc/container_host.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "sys/fd.h"

extern char** environ;

namespace netserv::lxc {
namespace {

constexpr std::size_t kMostOutput = 1 << 20;

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

Status make_folders(const std::string& path) {
  for (std::size_t at = 1; at != std::string::npos;) {
    at = path.find('/', at + 1);
    std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(part, "mkdir", errno);
  }
  return {};
}

}  // namespace

// One run of netserv-launch: its input is a pipe (written whole at once: specs are far below a pipe's size), its
// output and exit code are the answer.
struct ContainerHost::Call {
  sys::UniqueFd output;
  std::string text;
  std::optional<int> exit_status;
  sys::EventHandle on_output, on_exit;
  std::function<void(Result<std::string>)> done;
};

ContainerHost::ContainerHost(sys::EventLoop& loop, std::string launcher, std::string state_folder)
    : loop_(loop), launcher_(std::move(launcher)), state_folder_(std::move(state_folder)) {}
ContainerHost::~ContainerHost() = default;

void ContainerHost::run(std::vector<std::string> arguments, std::string input,
                        std::function<void(Result<std::string>)> done) {
  auto fail_later = [&](tl::unexpected<Error> error) {
    loop_.post([done, error] { done(error); });
  };
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return fail_later(fail_errno(launcher_, "pipe", errno));
  sys::UniqueFd in_read(in[0]), in_write(in[1]);
  if (::pipe2(out, O_CLOEXEC) != 0) return fail_later(fail_errno(launcher_, "pipe", errno));
  sys::UniqueFd out_read(out[0]), out_write(out[1]);
  ::fcntl(in_write.get(), F_SETFL, O_NONBLOCK);
  if (!input.empty() && ::write(in_write.get(), input.data(), input.size()) != ssize_t(input.size()))
    return fail_later(fail(Origin::kSystem, launcher_, "spec too long for a pipe"));

  arguments.insert(arguments.begin(), launcher_);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in_read.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, out_write.get(), 1);
  posix_spawnattr_t attributes;  // the event loop blocks signals; the launcher starts with none blocked
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, launcher_.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_later(fail_errno(launcher_, "cannot run it", error));

  auto call = std::make_unique<Call>();
  Call* raw = call.get();
  call->output = std::move(out_read);
  call->done = std::move(done);
  ::fcntl(call->output.get(), F_SETFL, O_NONBLOCK);
  auto read_output = [raw] {
    char buffer[4096];
    ssize_t n;
    while ((n = ::read(raw->output.get(), buffer, sizeof buffer)) > 0)
      if (raw->text.size() < kMostOutput) raw->text.append(buffer, static_cast<std::size_t>(n));
    if (n == 0) raw->on_output.reset();
  };
  call->on_output = loop_.on_io(call->output.get(), EPOLLIN, [read_output](std::uint32_t) { read_output(); });
  call->on_exit = loop_.on_child_exit(pid, [this, raw, read_output](int status) {
    read_output();  // what was written before the exit is there to read
    auto self = std::find_if(calls_.begin(), calls_.end(), [raw](auto& c) { return c.get() == raw; });
    std::unique_ptr<Call> finished = std::move(*self);
    calls_.erase(self);
    std::string output = trimmed(std::move(finished->text));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return finished->done(std::move(output));
    auto json = nlohmann::json::parse(output, nullptr, false);
    std::string reason = json.is_object() && json.contains("error") && json["error"].is_string()
                             ? json["error"].get<std::string>()
                             : "netserv-launch ended with wait status " + std::to_string(status);
    finished->done(fail(Origin::kSystem, "container", std::move(reason)));
  });
  calls_.push_back(std::move(call));
}

void ContainerHost::start(LaunchSpec spec, std::function<void(Result<ContainerStarted>)> done) {
  if (spec.state_folder.empty()) spec.state_folder = state_folder_;
  for (const std::string* folder : {&spec.state_folder, &spec.run_folder, &spec.module_folder})
    if (auto made = make_folders(*folder); !made)
      return loop_.post([done, error = made.error()] { done(fail(error)); });
  run({"-"}, print_launch_spec(spec), [done = std::move(done)](Result<std::string> output) {
    if (!output) return done(fail(output.error()));
    auto json = nlohmann::json::parse(*output, nullptr, false);
    if (!json.is_object() || !json.contains("init_pid"))
      return done(fail(Origin::kSystem, "netserv-launch", "unexpected output: " + *output));
    ContainerStarted started;
    started.name = json.value("name", "");
    started.init_pid = json.value("init_pid", 0);
    started.cold_start = std::chrono::microseconds(json.value("cold_start_us", std::int64_t{0}));
    done(started);
  });
}

void ContainerHost::stop(const std::string& name, std::function<void(Status)> done) {
  run({"--stop", name, "--state-folder", state_folder_}, {}, [done = std::move(done)](Result<std::string> output) {
    if (!output) return done(fail(output.error()));
    done({});
  });
}

void ContainerHost::set_network(const std::string& name, const NetworkGrants& grants,
                                std::function<void(Status)> done) {
  run({"--network", name, "--state-folder", state_folder_}, print_network_grants(grants),
      [done = std::move(done)](Result<std::string> output) {
        if (!output) return done(fail(output.error()));
        done({});
      });
}

void ContainerHost::list(std::function<void(Result<std::vector<ContainerFound>>)> done) {
  run({"--list", "--state-folder", state_folder_}, {}, [done = std::move(done)](Result<std::string> output) {
    if (!output) return done(fail(output.error()));
    auto json = nlohmann::json::parse(*output, nullptr, false);
    if (!json.is_object() || !json["containers"].is_array())
      return done(fail(Origin::kSystem, "netserv-launch", "unexpected output: " + *output));
    std::vector<ContainerFound> found;
    for (const auto& item : json["containers"])
      found.push_back({item.value("name", ""), item.value("running", false), item.value("init_pid", 0),
                       item.value("run_folder", "")});
    done(std::move(found));
  });
}

void ContainerHost::clean_up(std::function<void(Status)> done) {
  run({"--clean", "--state-folder", state_folder_}, {}, [done = std::move(done)](Result<std::string> output) {
    if (!output) return done(fail(output.error()));
    done({});
  });
}

}  // namespace netserv::lxc
