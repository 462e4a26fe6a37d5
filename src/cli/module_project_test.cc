// What `module new` writes is what `module build` compiles and a node accepts.
#include "cli/module_project.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "cli/files.h"
#include "cli/module_facts.h"

namespace netserv::cli {
namespace {

const std::string kSdk = NETSERV_SOURCE_DIR "/sdk";

class ModuleProject : public ::testing::TestWithParam<Language> {
 protected:
  Result<TemporaryFolder> folder_ = TemporaryFolder::make();
  std::string path(const std::string& name) const { return folder_->path() + "/" + name; }
};

TEST_P(ModuleProject, TemplateBuildsAndIsAccepted) {
  auto files = new_project(kSdk, path("my-module"), GetParam());
  ASSERT_TRUE(files) << files.error().message();
  EXPECT_EQ(files->size(), 2u);
  std::string log;
  auto built = build_project(kSdk, path("my-module"), "", log);
  ASSERT_TRUE(built) << built.error().message();
  EXPECT_EQ(built->wasm, path("my-module/build/my-module.wasm"));
  EXPECT_LT(built->bytes, 8192u);
  auto facts = module_facts(built->wasm);
  ASSERT_TRUE(facts);
  EXPECT_EQ((*facts)["accepted"], true) << *facts;
  EXPECT_EQ((*facts)["manifest"]["name"], "my-module");
  EXPECT_EQ((*facts)["sha256"].get<std::string>().size(), 64u);
  EXPECT_NE(describe(*facts).find("packet/1"), std::string::npos);
}
INSTANTIATE_TEST_SUITE_P(Languages, ModuleProject, ::testing::Values(Language::kC, Language::kCxx));

using ModuleProjectErrors = ModuleProject;
TEST_F(ModuleProjectErrors, AreClear) {
  std::string log;
  ASSERT_TRUE(new_project(kSdk, path("m"), Language::kC));
  EXPECT_NE(new_project(kSdk, path("m"), Language::kC).error().text.find("not an empty folder"), std::string::npos);
  EXPECT_FALSE(new_project(kSdk, path("has blank"), Language::kC));
  EXPECT_FALSE(new_project(kSdk, path(".hidden"), Language::kC));
  EXPECT_FALSE(build_project(kSdk, path("absent"), "", log));
  std::filesystem::create_directory(path("empty"));
  EXPECT_NE(build_project(kSdk, path("empty"), "", log).error().text.find("no .c, .cc or .cpp"), std::string::npos);

  std::string old_path = getenv("PATH");
  setenv("PATH", "/nonexistent", 1);
  auto without_clang = build_project(kSdk, path("m"), "", log);
  setenv("PATH", old_path.c_str(), 1);
  ASSERT_FALSE(without_clang);
  EXPECT_NE(without_clang.error().text.find("apt-get install clang lld"), std::string::npos);

  std::ofstream(path("m/module.c"), std::ios::app) << "this is no C\n";
  auto broken = build_project(kSdk, path("m"), "", log);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().origin, Origin::kPublisher);
}

TEST_F(ModuleProjectErrors, InspectRefusesWhatIsNoModule) {
  EXPECT_FALSE(module_facts(path("absent.wasm")));
  std::ofstream(path("text.wasm")) << "hello";
  auto facts = module_facts(path("text.wasm"));
  ASSERT_TRUE(facts);
  EXPECT_EQ((*facts)["accepted"], false);
  EXPECT_NE(describe(*facts).find("accepted   no"), std::string::npos);
}

}  // namespace
}  // namespace netserv::cli
