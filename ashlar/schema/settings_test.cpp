#include <ashlar/schema/settings.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
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

class TempFolder {
 public:
  TempFolder() { EXPECT_NE(mkdtemp(path_.data()), nullptr); }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ + "/" + name) << text;
    return path_ + "/" + name;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/ashlar-settings-XXXXXX";
};

TEST(SettingsProfile, GoesOverTheFileKeyByKey) {
  const TempFolder folder;
  const std::string file = folder.write("blog.toml", R"(
port = 1000
origins = ["https://a.example", "https://b.example"]
[database]
url = "postgres://file"
password = "from-file"
pool_size = 8
)");
  folder.write("blog.production.toml", "origins = [\"https://c.example\"]\n[database]\nurl = \"postgres://profile\"\n");
  const auto settings = load_settings<Settings>(
      {.prefix = "BLOG", .file = file, .profile = "production", .environment = std::vector<Pair>{}});
  EXPECT_EQ(settings.port, 1000);
  EXPECT_EQ(settings.origins, (std::vector<std::string>{"https://c.example"}));
  EXPECT_EQ(settings.database.url, "postgres://profile");
  EXPECT_EQ(settings.database.pool_size, 8);
}

TEST(SettingsProfile, MustHaveItsFileAndIsToldTheNearest) {
  const TempFolder folder;
  const std::string file = folder.write("blog.toml", "");
  folder.write("blog.production.toml", "");
  folder.write("blog.staging.toml", "");
  folder.write("blogger.other.toml", "");
  try {
    (void)load_settings<Settings>({.file = file, .profile = "prodution"});
    FAIL();
  } catch (const Invalid& error) {
    EXPECT_EQ(error.message(), "the profile 'prodution' is read from " + folder.path() +
                                   "/blog.prodution.toml, which is not there (it may be empty); did you mean "
                                   "production?; there are: production, staging");
  }
}

TEST(SettingsProfile, IsNoPath) {
  EXPECT_EQ(profile_file("etc/blog.toml", "production"), "etc/blog.production.toml");
  EXPECT_EQ(profile_file("blog", "a-b_1"), "blog.a-b_1");
  EXPECT_THROW((void)profile_file("blog.toml", "../x"), Invalid);
  EXPECT_THROW((void)profile_file("blog.toml", std::string(65, 'x')), Invalid);
  EXPECT_THROW((void)load_settings<Settings>({.file = "/nowhere/x.toml", .file_must_exist = false, .profile = "a.b"}),
               Invalid);
}

TEST(SettingsProfile, MistakesAreNamedWithTheFileTheyAreIn) {
  const TempFolder folder;
  const std::string file = folder.write("blog.toml", "prot = 1\n[database]\nurl = \"u\"\npassword = \"p\"\n");
  folder.write("blog.test.toml", "port = \"x\"\n[database]\nulr = 1\n");
  EXPECT_EQ(outline({.file = file, .profile = "test", .environment = std::vector<Pair>{}}),
            "int_parsing@" + folder.path() + "/blog.test.toml.port:1 extra_forbidden@" + folder.path() +
                "/blog.test.toml.database.ulr:3 extra_forbidden@" + file + ".prot:1");
}

TEST(Settings, TellWhereEachCameFrom) {
  const TempFolder folder;
  const std::string file = folder.write("blog.toml", "port = 1\nlevel = \"debug\"\n");
  folder.write("blog.test.toml", "\nport = 2\n");
  const std::string secret = folder.write("secret", "hunter2");
  const std::vector<Pair> flags{{"timeout", "PT1S"}};
  Settings settings;
  Errors errors;
  SettingsReport report;
  ASSERT_TRUE(read_settings(
      type_info<Settings>(), &settings,
      {.prefix = "BLOG",
       .file = file,
       .profile = "test",
       .flags = flags,
       .environment = std::vector<Pair>{{"BLOG_DATABASE__URL", "u"}, {"BLOG_DATABASE__PASSWORD_FILE", secret}}},
      errors, &report));
  std::string places;
  for (const auto& [name, origin] : report.origins) places += name + " < " + origin.place + "\n";
  const std::string profile = folder.path() + "/blog.test.toml";
  EXPECT_EQ(places, "database.password < BLOG_DATABASE__PASSWORD_FILE\ndatabase.url < BLOG_DATABASE__URL\nlevel < " +
                        file + ":2\nport < " + profile + ":2\ntimeout < flag\n");
  EXPECT_EQ(report.files, (std::vector<std::string>{file, profile, secret}));
}

TEST(Settings, VariablesThatNobodyReadsAreFoundWithTheNearestName) {
  const auto known = setting_variables(type_info<Settings>(), "BLOG");
  EXPECT_NE(std::ranges::find(known, "BLOG_DATABASE__POOL_SIZE"), known.end());
  const std::vector<std::string> prefixes{"BLOG", "NONE"};
  know_variable("BLOG_SIGNING_SECRET");
  const auto unknown = unknown_variables(prefixes, known,
                                         std::vector<Pair>{{"BLOG_PROT", "1"},
                                                           {"BLOG_DATABASE_URL", "one underscore"},
                                                           {"BLOG_PORT", "1"},
                                                           {"BLOG_DATABASE__PASSWORD_FILE", "/run/secrets/x"},
                                                           {"BLOG_SIGNING_SECRET_FILE", "/run/secrets/y"},
                                                           {"BLOG_SOMETHING_ELSE_ALTOGETHER", "1"},
                                                           {"BLOGGER_PORT", "1"},
                                                           {"BLOG_", "1"},
                                                           {"PATH", "/bin"}});
  EXPECT_EQ(unknown, (std::vector<UnknownVariable>{{"BLOG_", ""},
                                                   {"BLOG_DATABASE_URL", "BLOG_DATABASE__URL"},
                                                   {"BLOG_PROT", "BLOG_PORT"},
                                                   {"BLOG_SOMETHING_ELSE_ALTOGETHER", ""}}));
}

TEST(Settings, WithoutAPrefixClaimNoVariables) {
  const std::vector<std::string> prefixes{""};
  EXPECT_TRUE(unknown_variables(prefixes, {}, std::vector<Pair>{{"PATH", "/bin"}, {"_", "x"}}).empty());
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
