// One case of fuzz(): a few requests, one after the other, and what the answer to the last one must be.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/detail/fuzz_accounts.hpp>
#include <ashlar/app/detail/fuzz_service.hpp>
#include <ashlar/app/fuzz.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/http/exchange.hpp>

namespace ashlar::detail {

class FuzzStock;

enum class FuzzCredentials : std::uint8_t {
  given,
  none,
  wrong,   // nobody's
  changed  // the given ones with another letter near their end: of what is signed, the signature
};

struct FuzzStep {
  const FuzzOperation* operation = nullptr;
  http::Method method = http::Method::get;
  std::vector<std::optional<Tree>> values;  // of the operation's parameters
  std::optional<Tree> body;                 // JSON
  std::optional<std::string> bytes;         // of a body that is no JSON, or broken
  std::string_view media_type;              // of the body; empty: as the operation has it
  FuzzCredentials credentials = FuzzCredentials::given;
  std::size_t account = 0;  // whose are given, where the service has given them
  /// A parameter of the path is what an earlier answer said.
  struct Binding {
    std::size_t parameter, step;
    std::vector<std::string> members;
  };
  std::vector<Binding> bindings;
  /// It takes what an earlier request was given.
  struct Again {
    std::size_t step;
    const FuzzReuse* reuse;
  };
  std::vector<Again> again;
};

struct FuzzAnswer {
  bool came = false;
  int status = 0;
  bool streams = false;
  std::string content_type;
  std::string allow;
  std::vector<std::string> cookies;  // as Set-Cookie has them
  std::string body;

  /// The body, read once; null: it is no JSON.
  [[nodiscard]] const Tree* tree() const;

 private:
  mutable std::optional<Tree> tree_;
  mutable bool is_read_ = false;
};

using FuzzAnswers = std::vector<std::shared_ptr<const FuzzAnswer>>;

/// Requests that were answered as they should be: what the last answer describes is there.
struct FuzzMade {
  std::vector<FuzzStep> steps;
  FuzzAnswers answers;
  std::size_t operation = 0;  // that makes such things; the last one may have changed it since
};

struct FuzzCase {
  enum class Intent : std::uint8_t {
    fits,             // must not be refused as invalid
    anything,         // may fit or not
    unfit,            // must be refused
    no_credentials,   // must be refused
    other_method,     // 405
    use_what_is_new,  // must be there
    use_what_is_gone  // must not be there
  };
  Intent intent = Intent::anything;
  std::vector<FuzzStep> steps;
  std::string why;  // of an unfit one
  /// So many steps at the beginning are the same in all cases of its group: they are sent once.
  std::size_t shared = 0;
  /// Steps at the beginning that were sent before; null: none. A case that is tried alone sends all of its steps.
  std::shared_ptr<const FuzzMade> made;

  /// Not about who asks, how, or with what.
  [[nodiscard]] bool is_about_what_is_there() const noexcept {
    return intent != Intent::unfit && intent != Intent::no_credentials && intent != Intent::other_method;
  }
};

struct FuzzFailure {
  std::string check, message;
  std::string key;  // equal for the same thing
};

struct FuzzHeader {
  std::string name, value;
  std::string shown;  // in a command, within double quotes; empty: the value
};

/// A request as it is sent.
struct FuzzRequest {
  std::string target, body;
  std::vector<FuzzHeader> headers;
  bool has_body = false;
};

/// Sends requests to the application within the process.
class FuzzSender {
 public:
  /// `accounts`: for requests where the options have no credentials; null: none.
  FuzzSender(App& app, const FuzzOptions& options, const FuzzAccounts* accounts = nullptr)
      : app_(app), options_(options), accounts_(accounts) {}

  /// Puts what earlier answers said into the path. False: they did not say it.
  static bool bind(FuzzStep& step, const FuzzAnswers& earlier);
  /// Puts what earlier requests were given into a step that takes it again. `all`: parameters that it left out, too.
  static void take_again(FuzzStep& step, const std::vector<FuzzStep>& earlier, bool all = false);
  /// Throws Unavailable when no answer comes, and the handler does not end when it is cancelled either.
  Task<void> send(const FuzzStep& step, FuzzAnswer& answer);
  /// The command that sends the same from a shell.
  [[nodiscard]] std::string curl(const FuzzStep& step) const;

  /// The request-target; nullopt: there is none that leads to this route (an empty segment, a segment that another
  /// route has).
  static std::optional<std::string> target(const FuzzStep& step);
  /// Its form with files, but for the boundary that closes it.
  static std::string cut_off_form(const FuzzStep& step);

 private:
  [[nodiscard]] FuzzRequest compose(const FuzzStep& step) const;

  App& app_;
  const FuzzOptions& options_;
  const FuzzAccounts* accounts_;
};

/// Is it read by the types behind the description, rules and all? nullopt: that cannot be told.
std::optional<bool> fuzz_is_read(const FuzzStep& step);
/// Does it fit the description?
bool fuzz_fits(const FuzzStep& step);

/// What is wrong with an answer, whatever was asked; then with this one for this case.
std::optional<FuzzFailure> judge_answer(const FuzzStep& step, const FuzzAnswer& answer, bool may_be_malformed);
std::optional<FuzzFailure> judge_case(const FuzzCase& one, const FuzzAnswer& answer);

/// Makes cases.
class FuzzMaker {
 public:
  /// `stock`: of what may be used again; null: each case makes what it needs.
  FuzzMaker(const FuzzService& service, schema::Random random, FuzzStock* stock = nullptr)
      : service_(service), random_(random), stock_(stock) {}

  /// One by chance that is right, or may be; nullopt: the operation allows none of what was drawn.
  std::optional<FuzzCase> by_chance(std::size_t operation);
  /// One by chance, after some around it that have one thing wrong each and share what comes before; empty: none.
  std::vector<FuzzCase> group_by_chance(std::size_t operation);
  /// Those on the bounds of an operation, and all just outside of them.
  std::vector<FuzzCase> on_bounds(std::size_t operation);
  /// Those by chance around the deletion of what is not needed any more.
  std::vector<FuzzCase> group_of_deletion(std::size_t operation, std::shared_ptr<const FuzzMade> made);
  /// One that asks for credentials, with what it takes to get them.
  std::optional<FuzzCase> log_in(std::size_t operation);

  /// The operations that no fitting request could be made for.
  [[nodiscard]] bool gave_up() const noexcept { return gave_up_; }

 private:
  /// Steps that lead to the last of them.
  struct Chain {
    std::vector<FuzzStep> steps;
    std::vector<std::size_t> operations;
    std::shared_ptr<const FuzzMade> made;
  };
  struct Drawn {
    FuzzCase one;
    std::size_t step = 0;  // of the operation; one that uses what it did may follow
    bool fits = false;
  };
  std::optional<Drawn> draw(std::size_t operation);
  std::optional<FuzzStep> step(const FuzzOperation& operation, schema::Letters letters);
  bool chain(std::size_t operation, Chain& out, int depth, bool again);
  bool use_stock(std::size_t maker, Chain& out, bool takes);
  schema::Letters letters(int depth);
  FuzzCase::Intent intent_of(const FuzzStep& step);
  void judge(Drawn& drawn);
  void add_uses(Drawn& drawn, std::size_t operation);
  void start_with(std::shared_ptr<const FuzzMade> made, Chain& out) const;
  std::vector<FuzzCase> group_around(Drawn drawn, std::size_t operation);

  const FuzzService& service_;
  schema::Random random_;
  FuzzStock* stock_;
  bool tame_ = false, whole_ = false;
  bool gave_up_ = false;
};

}  // namespace ashlar::detail
