#include "cli/key_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <memory>

#include "auth/keys.h"
#include "cli/exit_codes.h"
#include "cli/report.h"
#include "sys/fd.h"

namespace netserv::cli {
namespace {

// Never overwrites: a lost private key can't be made again.
Status write_new_file(const std::string& path, std::string_view text, mode_t mode) {
  sys::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd && errno == EEXIST)
    return fail(Origin::kOperator, path, "is there already, and a key is never overwritten: choose another name");
  if (!fd) return fail_errno(path, "cannot make", errno);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno(path, "cannot write", errno);
  return {};
}

Status make_key(const std::string& path) {
  NETSERV_ASSIGN(auth::PrivateKey key, auth::new_private_key());
  NETSERV_TRY(write_new_file(path, auth::print_private_key(key), 0600));
  return write_new_file(path + ".pub", auth::print_public_key(auth::public_key_of(key)), 0644);
}

}  // namespace

void add_key_commands(CLI::App& app, int& exit_code) {
  struct Options {
    std::string path;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* group = app.add_subcommand("key", "Keys that sign requests");
  group->require_subcommand(1);
  CLI::App* command = group->add_subcommand("new", "Make an Ed25519 key: FILE (private) and FILE.pub");
  command->footer("Example:\n  netserv key new janedoe.key\n  The operator of a node puts janedoe.key.pub into its configuration.");
  command->add_option("FILE", options->path, "File to make; must not exist")->required();
  command->add_flag("--json", options->json, "Answer as JSON");
  command->callback([options, &exit_code] {
    if (auto made = make_key(options->path); !made) return void(exit_code = explain(made.error(), options->json));
    if (options->json) {
      std::cout << dump({{"private_key", options->path}, {"public_key", options->path + ".pub"}}) << "\n";
      return;
    }
    std::cout << options->path << ": private key, keep it\n" << options->path << ".pub: public key, for nodes' operators\n";
  });
}

}  // namespace netserv::cli
