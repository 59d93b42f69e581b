#include <ashlar/pg/migration_diff.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/base/decimal.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_migrations.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/migration_lint.hpp>
#include <ashlar/pg/migrations.hpp>
#include <ashlar/pg/table.hpp>

namespace ashlar::pg {
namespace {

using Folder = test::MigrationFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

enum class Kind : std::uint8_t { book, film };

// sample: table
struct Item {
  std::int64_t id;
  std::int64_t owner_id;
  std::string title;
  Kind kind;
  Decimal price;
  std::optional<std::string> note;
  DateTime created_at;
};

using Items = pg::Table<Item, "diff_items", pg::primary_key{"id"}, pg::identity{"id"}, pg::unique{"owner_id", "title"},
                        pg::index{"created_at"}, pg::references{"owner_id", "diff_owners(id) on delete cascade"},
                        pg::column_type{"price", "numeric(12,2)"}, pg::default_value{"created_at", "now()"},
                        pg::constraint{"diff_items_price", "check (price >= 0)"}>;
// end of sample
struct Owner {
  std::int64_t id;
  std::string name;
};
using Owners = Table<Owner, "diff_owners", primary_key{"id"}>;

constexpr const char* kOwners = "create table diff_owners (id bigint primary key, name text not null);";
constexpr const char* kItems =
    "create type kind as enum ('book', 'film');\n"
    "create table diff_items (id bigserial primary key, owner_id bigint not null references diff_owners on delete "
    "cascade, "
    "title varchar(200) not null, kind kind not null, price numeric(12,2) not null constraint diff_items_price check "
    "(price "
    ">= 0), note text, created_at timestamptz not null default now(), unique (owner_id, title));\n"
    "create index on diff_items (created_at, id);";

/// The tables are declared while it lives.
class Diff {
 public:
  explicit Diff(std::vector<std::pair<const char*, std::string>> files) {
    for (const auto& [name, text] : files) folder.write(name, text);
  }
  MigrationProposal propose() {
    MigrationProposal out;
    Db db({.url = database.url(), .migrations = folder.path()});
    async::run([](Db& of, std::vector<const TableDeclaration*> tables, MigrationProposal& into) -> Task<void> {
      into = co_await propose_migrations(of, std::move(tables));
    }(db, {&owners, &items}, out));
    return out;
  }
  /// Proposes, writes and applies; nothing is left to propose, and lint has nothing to say but what is named.
  MigrationProposal settle(const std::vector<std::string>& lint = {}) {
    test::migrate(database, folder);
    const std::uint64_t newest = load_migrations(folder.path()).back().version;
    const MigrationProposal proposal = propose();
    write_migrations(folder.path(), proposal);
    const auto files = load_migrations(folder.path());
    std::vector<std::string> rules;
    for (const LintFinding& finding : lint_migrations(files, {.after = newest})) rules.push_back(finding.rule);
    EXPECT_EQ(rules, lint);
    EXPECT_EQ(test::failure(database, folder), "");
    for (const ProposedMigration& left : propose().files) ADD_FAILURE() << left.text;
    return proposal;
  }
  Folder folder;
  TestDatabase database{test::server(), "template1"};
  Owners owners;
  Items items;
};

std::vector<std::string> names(const MigrationProposal& proposal) {
  std::vector<std::string> out;
  for (const ProposedMigration& file : proposal.files) out.push_back(file.name);
  return out;
}

TEST(MigrationDiff, ProposesTablesThatAreMissing) {
  Diff here({{"0001_start.sql", "select 1;"}});
  const MigrationProposal proposal = here.settle();
  EXPECT_THAT(names(proposal), ElementsAre("create_diff_owners_diff_items"));
  EXPECT_THAT(
      proposal.files[0].text,
      AllOf(HasSubstr("create table diff_items (\n  id bigint generated always as identity not null,\n"),
            HasSubstr("price numeric(12,2) not null"), HasSubstr("note text,\n"), HasSubstr("UNIQUE (owner_id, title)"),
            HasSubstr("-- migrate:down\ndrop table diff_items;\ndrop table diff_owners;")));
  EXPECT_EQ(test::command(here.database, here.folder, {"down"}), 0);
  EXPECT_EQ(test::sql(here.database, "select to_regclass('diff_owners') is null"), "t");
}

// Of a full disk, say. The next start would run the half.
TEST(MigrationDiff, LeavesNoHalfOfAFile) {
  const Folder folder;
  const MigrationProposal proposal{.files = {{"big", std::string(100'000, '-')}}, .notes = {}};
  struct rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small{.rlim_cur = 10'000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW(write_migrations(folder.path(), proposal), Invalid);
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(write_migrations(folder.path(), proposal).size(), 1U);
  EXPECT_EQ(load_migrations(folder.path()).size(), 1U);
}

TEST(MigrationDiff, HasNothingToSayOfTablesThatFit) {
  Diff here({{"0001_owners.sql", kOwners}, {"0002_items.sql", kItems}});
  const MigrationProposal proposal = here.propose();
  EXPECT_THAT(names(proposal), IsEmpty())
      << "an enum fits a C++ enum, varchar a string, bigserial an identity, an index with more";
  EXPECT_THAT(proposal.notes, IsEmpty());
}

TEST(MigrationDiff, ProposesWhatATableLacksWithoutLocksThatLast) {
  Diff here({{"0001_owners.sql", kOwners},
             {"0002_items.sql",
              "create table diff_items (id bigint, owner_id bigint, title text not null, kind text not null);\n"}});
  test::migrate(here.database, here.folder);
  test::sql(here.database,
            "insert into diff_owners values (1, 'a'); insert into diff_items values (7, 1, 'x', 'book')");
  const MigrationProposal first = here.propose();
  EXPECT_THAT(first.files[0].text, AllOf(HasSubstr("alter table diff_items add column price numeric(12,2);"),
                                         HasSubstr("Rows that are there have no value for price"),
                                         HasSubstr("FOREIGN KEY"), HasSubstr("not valid")))
      << first.files[0].text;
  write_migrations(here.folder.path(), first);
  EXPECT_EQ(test::failure(here.database, here.folder), "");
  test::sql(here.database, "update diff_items set price = 3");
  const MigrationProposal second = here.settle();
  EXPECT_EQ(test::sql(here.database,
                      "select string_agg(column_name, ',') from information_schema.columns where table_name = "
                      "'diff_items' and is_nullable = 'YES'"),
            "note");
  EXPECT_EQ(test::sql(here.database,
                      "select count(*) from pg_constraint where conrelid = 'diff_items'::regclass and "
                      "convalidated"),
            "4")
      << "a key, a foreign key, a unique one, a check";
}

TEST(MigrationDiff, NeverDropsAndSaysHow) {
  Diff here({{"0001_owners.sql", kOwners},
             {"0002_items.sql", std::string(kItems) + "\nalter table diff_items rename column note to remark;"}});
  const MigrationProposal proposal = here.settle();
  EXPECT_THAT(names(proposal), ElementsAre("diff_items_add_note"));
  EXPECT_THAT(proposal.files[0].text, Not(HasSubstr("\nalter table diff_items drop column remark")));
  ASSERT_EQ(proposal.notes.size(), 1);
  EXPECT_THAT(proposal.notes[0],
              AllOf(HasSubstr("diff_items.remark is no member of"), HasSubstr("migration_diff_test.cpp"),
                    HasSubstr("alter table diff_items drop column remark"),
                    HasSubstr("alter table diff_items rename column remark to note")));
}

TEST(MigrationDiff, ProposesAnotherTypeOnlyWhereTheMemberCannotHoldIt) {
  Diff here({{"0001_owners.sql", "create table diff_owners (id int primary key, name int not null);"},
             {"0002_items.sql", kItems}});
  const MigrationProposal proposal = here.settle({"column-type-rewrite"});
  EXPECT_THAT(names(proposal), ElementsAre("diff_owners_change")) << "int fits std::int64_t";
  EXPECT_THAT(proposal.files[0].text, AllOf(HasSubstr("alter column name type text using name::text;"),
                                            HasSubstr("alter column name type integer using name::integer;")));
}

TEST(MigrationDiff, ProposesValuesThatAnEnumLacks) {
  Diff here({{"0001_owners.sql", kOwners},
             {"0002_kind.sql",
              "create type kind as enum ('book'); create table diff_items (id bigserial primary key, owner_id "
              "bigint not null references diff_owners on delete cascade, title text not null, kind kind not "
              "null, price numeric(12,2) not null constraint diff_items_price check (price >= 0), note text, "
              "created_at timestamptz not null default now(), unique (owner_id, title)); create index on "
              "diff_items (created_at)"}});
  EXPECT_THAT(here.settle().files.at(0).text, HasSubstr("alter type kind add value if not exists 'film';"));
}

TEST(MigrationDiff, AForeignKeyThatDoesSomethingElseIsMadeAnew) {
  std::string items(kItems);
  items.replace(items.find(" on delete cascade"), 18, "");
  Diff here({{"0001_owners.sql", kOwners}, {"0002_items.sql", items}});
  const MigrationProposal proposal = here.settle();
  EXPECT_THAT(names(proposal), ElementsAre("diff_items_change", "diff_items_validate"));
  EXPECT_THAT(proposal.files[0].text, HasSubstr("ON DELETE CASCADE not valid"));
}

TEST(MigrationDiff, ATableHasOneDeclaration) {
  const Owners one;
  const Owners two;
  try {
    static_cast<void>(declared_tables({"diff_owners"}));
    FAIL();
  } catch (const Invalid& error) {
    EXPECT_THAT(error.message(), HasSubstr("diff_owners is declared twice"));
  }
}

struct Wrong {
  int id;
  int lower;
};
TEST(MigrationDiff, NamesTheDeclarationThatPostgresqlRefuses) {
  const Table<Wrong, "diff_wrong", column_type{"lower", "itn"}> wrong;
  Diff here({{"0001_start.sql", "select 1;"}});
  Db db({.url = here.database.url(), .migrations = here.folder.path()});
  try {
    async::run([](Db& of, const TableDeclaration* table) -> Task<void> {
      (void)co_await propose_migrations(of, {table});
    }(db, &wrong));
    FAIL();
  } catch (const Invalid& error) {
    EXPECT_THAT(error.message(),
                AllOf(HasSubstr("diff_wrong"), HasSubstr("migration_diff_test.cpp"), HasSubstr("\"itn\"")));
  }
}

TEST(MigrationDiff, IsACommandThatWritesFiles) {
  Diff here({{"0001_start.sql", "select 1;"}});
  const auto diff = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "diff");
    return test::command(here.database, here.folder, std::move(words));
  };
  EXPECT_EQ(diff({"--check", "diff_owners"}), 1);
  EXPECT_EQ(load_migrations(here.folder.path()).size(), 1);
  EXPECT_EQ(diff({"--apply"}), 1);
  EXPECT_EQ(diff({"no_such_table"}), 1);
  EXPECT_EQ(load_migrations(here.folder.path()).size(), 1);
  EXPECT_EQ(diff({"diff_owners"}), 0);
  EXPECT_EQ(load_migrations(here.folder.path()).size(), 2);
  EXPECT_EQ(test::sql(here.database, "select to_regclass('diff_owners') is null"), "t") << "nothing was applied";
  EXPECT_EQ(diff({"--check", "diff_owners"}), 0);
}

}  // namespace
}  // namespace ashlar::pg
