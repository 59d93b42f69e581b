#include <ashlar/schema/settings.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace ashlar::schema {
namespace {

enum class Level { info, debug };

struct Database {
  std::string url;
  Secret<> password;
  Annotated<int, ge{1}, le{100}, description{"Connections a core"}> pool_size = 4;
};
struct Cache {
  std::string url;
};
struct Settings {
  std::uint16_t port = 8080;
  Level level = Level::info;
  Duration timeout{std::chrono::seconds{30}};
  std::vector<std::string> origins;
  Database database;
  std::optional<Cache> cache;
};

class TempFile {
 public:
  explicit TempFile(std::string_view text) {
    const int fd = mkstemp(path_.data());
    std::ofstream(path_) << text;
    close(fd);
  }
  ~TempFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/ashlar-settings-XXXXXX";
};

std::string outline(const SettingsSources& sources) {
  Settings settings;
  Errors errors;
  read_settings(type_info<Settings>(), &settings, sources, errors);
  std::string out;
  for (const ErrorItem& e : errors.items()) {
    if (!out.empty()) out += ' ';
    out += e.type + "@" + loc_text(e.loc);
    if (e.line > 0) out += ":" + std::to_string(e.line);
  }
  return out;
}

TEST(Settings, ComeFromFileEnvironmentAndFlagsInThisOrder) {
  const TempFile file(R"(
port = 1000
level = "debug"
timeout = "5s"
origins = ["https://a.example"]
[database]
url = "postgres://file"
password = "from-file"
pool_size = 8
)");
  const std::vector<Pair> flags{{"port", "3000"}, {"database.pool_size", "9"}};
  const auto settings = load_settings<Settings>(
      {.prefix = "BLOG",
       .file = file.path(),
       .flags = flags,
       .environment = std::vector<Pair>{{"BLOG_PORT", "2000"},
                                        {"BLOG_DATABASE__URL", "postgres://env"},
                                        {"BLOG_ORIGINS", "https://b.example, https://c.example"},
                                        {"BLOG_CACHE__URL", "redis://x"},
                                        {"OTHER", "1"}}});
  EXPECT_EQ(settings.port, 3000);
  EXPECT_EQ(settings.level, Level::debug);
  EXPECT_EQ(settings.timeout, Duration(std::chrono::seconds{5}));
  EXPECT_EQ(settings.origins, (std::vector<std::string>{"https://b.example", "https://c.example"}));
  EXPECT_EQ(settings.database.url, "postgres://env");
  EXPECT_EQ(settings.database.password.reveal(), "from-file");
  EXPECT_EQ(settings.database.pool_size, 9);
  ASSERT_TRUE(settings.cache);
  EXPECT_EQ(settings.cache->url, "redis://x");
}

TEST(Settings, SecretsMayLieInFiles) {
  const TempFile secret("hunter2\n");
  const auto settings = load_settings<Settings>(
      {.prefix = "BLOG",
       .environment = std::vector<Pair>{{"BLOG_DATABASE__URL", "u"}, {"BLOG_DATABASE__PASSWORD_FILE", secret.path()}}});
  EXPECT_EQ(settings.database.password.reveal(), "hunter2");
  EXPECT_FALSE(settings.cache);
}

TEST(Settings, EveryMistakeIsNamedWithItsPlace) {
  const TempFile file("port = \"x\"\nprot = 1\n[database]\npool_size = 0\n");
  EXPECT_EQ(outline({.prefix = "BLOG", .file = file.path(), .environment = std::vector<Pair>{{"BLOG_LEVEL", "loud"}}}),
            "int_parsing@" + file.path() +
                ".port:1 enum@environment.BLOG_LEVEL missing@settings.database.url "
                "missing@settings.database.password greater_than_equal@" +
                file.path() + ".database.pool_size:4 extra_forbidden@" + file.path() + ".prot:2");
}

TEST(Settings, AnUnknownOneIsToldWithTheNameThatIsNearest) {
  const TempFile file("prot = 1\nwindow = 2\n[database]\nulr = \"u\"\n");
  Settings settings;
  Errors errors;
  EXPECT_FALSE(read_settings(type_info<Settings>(), &settings,
                             {.file = file.path(), .environment = std::vector<Pair>{{"DATABASE__PASSWORD", "p"}}},
                             errors));
  std::vector<std::string> messages;
  for (const auto& item : errors.take()) {
    if (item.type == "extra_forbidden") messages.push_back(item.msg);
  }
  EXPECT_EQ(messages,
            (std::vector<std::string>{"There is no such setting; did you mean database.url?",
                                      "There is no such setting; did you mean port?", "There is no such setting"}));
}

TEST(Settings, HaveNamesForFlags) {
  const auto names = setting_names(type_info<Settings>());
  EXPECT_EQ(names.front(), "port");
  EXPECT_NE(std::ranges::find(names, "database.pool_size"), names.end());
  EXPECT_EQ(did_you_mean("levle", names), "; did you mean level?");
  EXPECT_EQ(did_you_mean("colour", names), "");
  EXPECT_EQ(did_you_mean(std::string(100'000, 'x'), names), "");
}

TEST(Settings, SayHowToSetWhatIsMissing) {
  try {
    (void)load_settings<Settings>({.prefix = "BLOG", .environment = std::vector<Pair>{}});
    FAIL();
  } catch (const ValidationError& e) {
    EXPECT_NE(e.message().find("set BLOG_DATABASE__URL"), std::string::npos) << e.message();
  }
}

TEST(Settings, RefuseAFileThatIsNoToml) {
  const TempFile file("port = = 1\n");
  EXPECT_THROW((void)load_settings<Settings>({.file = file.path()}), Invalid);
  EXPECT_THROW((void)load_settings<Settings>({.file = "/nowhere/x.toml"}), Invalid);
  EXPECT_NO_THROW((void)load_settings<Settings>(
      {.file = "/nowhere/x.toml",
       .file_must_exist = false,
       .environment = std::vector<Pair>{{"DATABASE__URL", "u"}, {"DATABASE__PASSWORD", "p"}}}));
}

TEST(Settings, AreListedWithSecretsMasked) {
  Settings settings;
  settings.database.url = "postgres://x";
  settings.database.password = Secret<>(std::string("hunter2"));
  std::string text;
  for (const Setting& s : describe_settings(settings, "BLOG")) text += s.variable + "=" + s.value + "\n";
  EXPECT_EQ(text,
            "BLOG_PORT=8080\nBLOG_LEVEL=info\nBLOG_TIMEOUT=PT30S\nBLOG_ORIGINS=[]\nBLOG_DATABASE__URL=postgres://x\n"
            "BLOG_DATABASE__PASSWORD=**********\nBLOG_DATABASE__POOL_SIZE=4\nBLOG_CACHE=\n");
}

}  // namespace
}  // namespace ashlar::schema
