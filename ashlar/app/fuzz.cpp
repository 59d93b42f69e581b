// fuzz(): runs the cases, makes those that fail as simple as they can be, and tells.
#include <ashlar/app/fuzz.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <ashlar/app/detail/fuzz_case.hpp>
#include <ashlar/app/detail/fuzz_stock.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar {
namespace detail {
namespace {

using schema::Change;
using Intent = FuzzCase::Intent;
using Time = std::chrono::steady_clock;

constexpr int kSimplifications = 500;        // requests that are spent on one finding
constexpr std::size_t kShownOfAnswer = 400;  // bytes
constexpr std::size_t kBeforePause = 64;     // cases; what runs beside them gets its turn
constexpr std::size_t kTriesToLogIn = 12;    // of an operation; a name may be taken, a rule not be in the document
constexpr std::uint64_t kNumbersOfLogIns = 1'000'000'000, kNumbersOfDeletions = 2'000'000'000;
constexpr std::size_t kMostLogIns = 20;  // anew, when credentials are taken no more

std::string beginning_of(std::string_view body) {
  std::size_t end = std::min(body.size(), kShownOfAnswer);
  while (end > 0 && end < body.size() && (static_cast<unsigned char>(body[end]) & 0xC0) == 0x80) --end;
  const std::string_view shown = body.substr(0, end);
  return is_utf8(shown) ? std::string(shown) : fmt::format("{} bytes that are no text", body.size());
}

class Fuzzing {
 public:
  Fuzzing(App& app, FuzzOptions options)
      : options_(std::move(options)), service_(app), sender_(app, options_, &accounts_), begun_(Time::now()) {
    report_.seed = options_.seed;
    report_.notes = service_.notes;
    choose();
    open();
    stock_ = FuzzStock(service_, chosen_);
  }

  Task<FuzzReport> run() {
    co_await log_in();
    while (!is_over() && !is_done()) {
      if (options_.at_once <= 1) {
        co_await some();
        continue;
      }
      co_await async::task_group([this](async::TaskGroup& group) -> Task<void> {
        for (std::size_t i = 0; i < options_.at_once; ++i) group.spawn(some());
        co_return;
      });
      co_await try_alone();
    }
    conclude();
    co_return std::move(report_);
  }

 private:
  struct Outcome {
    std::optional<FuzzFailure> failure;
    std::size_t step = 0;  // whose answer it is
    FuzzAnswers answers;

    const FuzzAnswer& answer() const {
      static const FuzzAnswer kNone;
      return step < answers.size() ? *answers[step] : kNone;
    }
  };
  // Cases that share what comes before them, one after the other.
  struct Group {
    std::vector<FuzzCase> cases;
    bool by_chance = false;
  };

  void choose() {
    const auto is_named = [](const FuzzOperation& operation, const std::vector<std::string>& names) {
      return std::ranges::any_of(names, [&](const std::string& name) {
        return operation.name.find(name) != std::string::npos || operation.id.find(name) != std::string::npos;
      });
    };
    for (std::size_t i = 0; i < service_.operations.size(); ++i) {
      FuzzOperation& one = service_.operations[i];
      report_.operations.push_back({one.name, 0, 0});
      one.excluded = is_named(one, options_.exclude);
      if ((options_.routes.empty() || is_named(one, options_.routes)) && !one.excluded) chosen_.push_back(i);
    }
    if (chosen_.empty())
      throw Invalid(service_.operations.empty() ? "there is no operation in the service's OpenAPI document"
                                                : "no operation has such a name; `routes` lists them");
  }

  // Each case has numbers of its own, so that it does not depend on how the ones before it went.
  FuzzMaker maker(std::uint64_t number, FuzzStock* stock = nullptr) {
    schema::Random seeds(options_.seed * 0x9E3779B97F4A7C15 + number);
    return {service_, schema::Random(seeds.next()), stock};
  }

  // Which operations there are credentials for.
  void open() {
    for (FuzzOperation& one : service_.operations)
      one.closed = one.secured && options_.authorization.empty() && !accounts_.open(0, one);
  }

  // As somebody who signs up and logs in, by what the document says: an operation that wants no credentials answers
  // with them, and takes what another one was given.
  Task<void> log_in() {
    stale_ = false;
    const auto is_secured = [&](std::size_t i) { return !service_.operations[i].info.security.empty(); };
    if (!options_.authorization.empty() || std::ranges::none_of(chosen_, is_secured)) co_return;
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < service_.operations.size(); ++i) {
      const FuzzOperation& one = service_.operations[i];
      if (!one.grants.empty() && !one.excluded) all.push_back(i);
    }
    // First those that take what was given before: they show that it works, too.
    std::ranges::sort(all, {}, [&](std::size_t i) { return std::pair{service_.operations[i].reuses.empty(), i}; });
    for (std::size_t account = 0; account < kFuzzAccounts; ++account) {
      for (const std::size_t operation : all) {
        if (co_await log_in(account, operation)) break;
      }
    }
    if (!accounts_.has(0) && !all.empty()) {
      report_.notes.push_back(fmt::format("{} answers with credentials, but none of {} requests to it succeeded",
                                          service_.operations[all.front()].name, kTriesToLogIn));
    }
    service_.has_others = accounts_.has(1);
    open();
  }

  Task<bool> log_in(std::size_t account, std::size_t operation) {
    const FuzzOperation& described = service_.operations[operation];
    for (std::size_t i = 0; i < kTriesToLogIn; ++i) {
      auto one = maker(kNumbersOfLogIns + tries_to_log_in_++).log_in(operation);
      if (!one) co_return false;
      Outcome outcome;
      co_await take(*one, outcome);
      if (outcome.failure || outcome.step + 1 != one->steps.size() || outcome.answer().status >= 300) continue;
      std::string commands;
      for (const FuzzStep& step : one->steps) commands += sender_.curl(step) + "\n";
      if (!accounts_.take(account, described, outcome.answer(), commands)) continue;
      if (logged_in_.insert(operation).second) {
        report_.notes.push_back(
            fmt::format("{}{} gives the credentials of requests that want them", described.name,
                        one->steps.size() > 1 ? fmt::format(" (after {})", one->steps.front().operation->name) : ""));
      }
      co_return true;
    }
    co_return false;
  }

  bool has_enough() const { return cases_by_chance_ >= options_.cases && options_.time.count() == 0; }
  bool is_done() const { return next_ >= chosen_.size() && waiting_.empty() && has_enough(); }

  // First the bounds of each operation, then by chance.
  Group next_group() {
    Group group;
    if (!waiting_.empty()) {
      group = std::move(waiting_.back());
      waiting_.pop_back();
      return group;
    }
    if (auto unneeded = stock_.next_unneeded()) {
      group.by_chance = true;
      group.cases = maker(kNumbersOfDeletions + deletions_++, &stock_)
                        .group_of_deletion(unneeded->operation, std::move(unneeded->made));
      return group;
    }
    const std::size_t i = next_++;
    const std::size_t operation = chosen_[i % chosen_.size()];
    group.by_chance = i >= chosen_.size();
    if (group.by_chance) {
      group.cases = maker(1'000'003 + i, &stock_).group_by_chance(operation);
      if (group.cases.empty()) ++cases_by_chance_;
      return group;
    }
    group.cases = maker(operation).on_bounds(operation);
    if (group.cases.empty()) {
      report_.notes.push_back(
          fmt::format("{}: no request that its own types take was found by chance; an example{{…}} on the members "
                      "with rules of your own helps",
                      service_.operations[operation].name));
    }
    return group;
  }

  // One group after the other; several of these run at a time.
  Task<void> some() {
    while (!is_over() && !is_done() && suspects_.empty() && !stale_) {
      Group group = next_group();
      if (group.cases.empty()) co_await async::sleep(async::Nanoseconds(0));
      co_await take(group);
    }
  }

  Task<void> take(Group& group) {
    std::shared_ptr<const FuzzMade> made;  // what they share
    bool is_made = true;
    for (std::size_t i = 0; i < group.cases.size(); ++i) {
      FuzzCase& one = group.cases[i];
      if (is_over() || (group.by_chance && has_enough())) co_return;
      if (!suspects_.empty() || stale_) {  // the others are for later
        group.cases.erase(group.cases.begin(), group.cases.begin() + static_cast<std::ptrdiff_t>(i));
        waiting_.push_back(std::move(group));
        co_return;
      }
      const bool shares = one.shared > 0;
      if (shares && !is_made) continue;  // it would end where the one before it did
      const auto stock = one.made;
      if (shares && made != nullptr) one.made = made;
      if (group.by_chance) ++cases_by_chance_;
      Outcome outcome;
      co_await count_and_play(one, outcome);
      if (shares) {
        is_made = outcome.answers.size() >= one.shared && outcome.step >= one.shared;
        if (is_made && made == nullptr) made = stock_.first_steps(one, outcome.answers, one.shared);
        if (stock != nullptr && (!is_made || is_gone(one, outcome))) stock_.drop(stock);
        if (made != nullptr && is_refused_deletion(one, outcome)) stock_.keep_for_deletion(made);
      }
      if (!outcome.failure) stock_.keep(one, outcome.answers);
      if (outcome.failure && !is_known(one, outcome)) {
        if (options_.at_once > 1) {
          suspects_.emplace_back(std::move(one), std::move(outcome));
        } else {
          co_await find_alone(one, outcome);
        }
      }
      if (options_.at_once <= 1) co_await log_in_anew();
    }
  }

  static bool is_gone(const FuzzCase& one, const Outcome& outcome) {
    const int status = outcome.answer().status;
    return one.is_about_what_is_there() && (status == 404 || status == 410);
  }

  // Somebody else was told off, and nobody has it in stock.
  static bool is_refused_deletion(const FuzzCase& one, const Outcome& outcome) {
    const FuzzStep& last = one.steps.back();
    return last.method == http::Method::del && last.account != one.steps.front().account &&
           outcome.answer().status == 403 && one.is_about_what_is_there() && one.shared + 1 == one.steps.size();
  }

  // What was wrong while others were under way, now that none is.
  Task<void> try_alone() {
    for (auto& [one, seen] : std::exchange(suspects_, {})) {
      if (!is_known(one, seen)) co_await find_alone(one, seen);
    }
    co_await log_in_anew();
  }

  // With nobody else there, and all that it needs made for it alone.
  Task<void> find_alone(FuzzCase& one, Outcome& seen) {
    if (one.made == nullptr && options_.at_once <= 1) {
      co_await find(one, seen);
      co_return;
    }
    one.made.reset();
    Outcome outcome;
    co_await play(one, outcome);
    if (outcome.failure) {
      if (!is_known(one, outcome)) co_await find(one, outcome);
    } else if (!is_about_the_case(seen.failure->check)) {
      seen.failure->message += options_.at_once > 1
                                   ? fmt::format(", once, while {} others were under way", options_.at_once - 1)
                                   : std::string(", once, on what other cases had used before");
      note(one, seen);
    }
  }

  bool is_over() const {
    if (report_.findings.size() >= options_.most_findings) return true;
    return options_.time.count() > 0 && Time::now() - begun_ >= options_.time;
  }

  Task<void> log_in_anew() {
    if (!stale_) co_return;
    stale_ = false;
    if (log_ins_ >= kMostLogIns) co_return;
    ++log_ins_;
    co_await log_in();
  }

  Task<void> take(FuzzCase& one, Outcome& outcome) {
    co_await count_and_play(one, outcome);
    if (outcome.failure && !is_known(one, outcome)) co_await find(one, outcome);
  }

  Task<void> count_and_play(FuzzCase& one, Outcome& outcome) {
    ++report_.cases;
    ++kind_of(one);
    tell(*one.steps.back().operation);
    if (report_.cases % kBeforePause == 0) co_await async::sleep(async::Nanoseconds(0));
    co_await play(one, outcome);
  }

  std::size_t& kind_of(const FuzzCase& one) {
    FuzzKinds& kinds = report_.kinds;
    if (one.intent == Intent::unfit) return kinds.invalid;
    if (one.intent == Intent::no_credentials) return kinds.credentials;
    if (one.intent == Intent::other_method) return kinds.methods;
    const FuzzStep& last = one.steps.back();
    return last.bindings.empty() && last.again.empty() ? kinds.alone : kinds.sequences;
  }

  static std::string key_of(const FuzzCase& one, const Outcome& outcome) {
    return one.steps[outcome.step].operation->name + " " + outcome.failure->key;
  }

  // Counts it, if it is.
  bool is_known(const FuzzCase& one, const Outcome& outcome) {
    const auto known = seen_.find(key_of(one, outcome));
    if (known == seen_.end()) return false;
    ++report_.findings[known->second].times;
    return true;
  }

  Task<void> find(FuzzCase& one, Outcome& outcome) {
    const std::string key = key_of(one, outcome);
    seen_.emplace(key, report_.findings.size());
    one.steps.resize(outcome.step + 1);
    co_await simplify(one, outcome, key);
    add(one, outcome);
  }

  // As it was seen.
  void note(FuzzCase& one, const Outcome& outcome) {
    seen_.emplace(key_of(one, outcome), report_.findings.size());
    one.steps.resize(outcome.step + 1);
    add(one, outcome);
  }

  // Until the first answer that is wrong. What comes before the last must succeed, or the case says nothing.
  Task<void> play(FuzzCase& one, Outcome& outcome) {
    outcome = {};
    FuzzAnswers& answers = outcome.answers;
    if (one.made != nullptr) answers = one.made->answers;
    answers.reserve(one.steps.size());
    for (std::size_t i = answers.size(); i < one.steps.size(); ++i) {
      FuzzStep& step = one.steps[i];
      const bool is_last = i + 1 == one.steps.size();
      outcome.step = i;
      FuzzSender::take_again(step, one.steps);
      if (!FuzzSender::bind(step, answers) || !FuzzSender::target(step)) co_return;
      const auto answer = std::make_shared<FuzzAnswer>();
      co_await sender_.send(step, *answer);
      answers.push_back(answer);
      ++report_.requests;
      auto& counts = report_.operations[static_cast<std::size_t>(step.operation - service_.operations.data())];
      ++counts.requests;
      if (answer->came && answer->status < 400) ++counts.successes;
      outcome.failure = judge_answer(step, *answer, is_last && one.intent != Intent::fits);
      if (!outcome.failure && is_last) outcome.failure = judge_case(one, *answer);
      const bool refused = answer->status == 401 && step.operation->secured && !step.operation->closed;
      if (refused && step.credentials == FuzzCredentials::given && accounts_.has(step.account)) stale_ = true;
      if (outcome.failure || answer->status >= 300) co_return;
    }
  }

  // Smaller while it still fails in the same way.
  Task<void> simplify(FuzzCase& one, Outcome& outcome, const std::string& key) {
    int left = kSimplifications;
    const std::string check = outcome.failure->check;
    const auto fails = [&](FuzzCase candidate) -> Task<bool> {
      --left;
      Outcome other;
      co_await play(candidate, other);
      if (!other.failure || other.step + 1 != candidate.steps.size()) co_return false;
      if (candidate.steps[other.step].operation->name + " " + other.failure->key != key) co_return false;
      one = std::move(candidate);
      outcome = std::move(other);
      co_return true;
    };
    // What is wrong with any answer is wrong whatever the case was about.
    if (!is_about_the_case(check)) one.intent = Intent::anything;
    if (one.steps.size() > 1 && one.intent != Intent::use_what_is_gone && one.intent != Intent::use_what_is_new) {
      FuzzCase alone = one;
      alone.steps.erase(alone.steps.begin(), alone.steps.end() - 1);
      alone.steps.back().bindings.clear();
      alone.steps.back().again.clear();
      co_await fails(std::move(alone));
    }
    for (bool better = true; better && left > 0;) {
      better = false;
      for (std::size_t s = one.steps.size(); s-- > 0;) {
        auto candidates = simpler_cases(one, s);
        // What did not help before helps seldom after a change elsewhere: it is tried again in the next round.
        for (std::size_t i = 0; i < candidates.size() && left > 0;) {
          if (is_still(candidates[i], s) && co_await fails(std::move(candidates[i]))) {
            better = true;
            candidates = simpler_cases(one, s);
          } else {
            ++i;
          }
        }
      }
    }
  }

  static bool is_about_the_case(std::string_view check) {
    return check == "valid-refused" || check == "invalid-accepted" || check == "auth-ignored" ||
           check == "unsupported-method" || check == "new-is-missing" || check == "use-after-delete";
  }

  static std::vector<FuzzCase> simpler_cases(const FuzzCase& one, std::size_t s) {
    std::vector<FuzzCase> all;
    const FuzzStep& step = one.steps[s];
    // A value that comes from an earlier request becomes simpler there.
    const auto keep_what_differs = [&] {
      std::vector<FuzzStep>& steps = all.back().steps;
      for (FuzzStep& later : steps) FuzzSender::take_again(later, steps);
      if (steps[s].values == step.values && steps[s].body == step.body) all.pop_back();
    };
    const bool free = s + 1 == one.steps.size() && (one.intent == Intent::anything || one.intent == Intent::unfit);
    for (std::size_t p = 0; p < step.values.size(); ++p) {
      const bool bound = std::ranges::any_of(step.bindings, [&](const auto& b) { return b.parameter == p; });
      if (!step.values[p] || bound) continue;
      const FuzzParameter& parameter = step.operation->parameters[p];
      if (!parameter.required) {
        all.push_back(one);
        all.back().steps[s].values[p].reset();
        keep_what_differs();
      }
      for (const Change& change : simpler(*parameter.node, *step.values[p], !free)) {
        all.push_back(one);
        change.apply(*all.back().steps[s].values[p]);
        keep_what_differs();
      }
    }
    if (!step.body) return all;
    for (const Change& change : simpler(*step.operation->body->node, *step.body, !free)) {
      all.push_back(one);
      change.apply(*all.back().steps[s].body);
      keep_what_differs();
    }
    return all;
  }

  // A simpler case must be about the same: what fits still fits, what does not still does not.
  static bool is_still(const FuzzCase& one, std::size_t s) {
    const FuzzStep& last = one.steps.back();
    if ((s + 1 != one.steps.size() && last.again.empty()) || one.intent == Intent::anything) return true;
    if (!last.media_type.empty()) return true;
    const auto read = fuzz_is_read(last);
    if (one.intent == Intent::unfit) return read ? !*read : !fuzz_fits(last);
    return read.value_or(true) && fuzz_fits(last);
  }

  void add(const FuzzCase& one, const Outcome& outcome) {
    FuzzFinding& finding = report_.findings.emplace_back();
    finding.check = outcome.failure->check;
    finding.operation = one.steps.back().operation->name;
    finding.message = outcome.failure->message;
    finding.status = outcome.answer().status;
    finding.answer = beginning_of(outcome.answer().body);
    for (const FuzzStep& step : one.steps) {
      const bool has_own = step.credentials == FuzzCredentials::none || step.credentials == FuzzCredentials::wrong;
      if (has_own || !options_.authorization.empty()) continue;
      const std::string told = accounts_.told(step.account, *step.operation);
      if (finding.curl.find(told) == std::string::npos) finding.curl += told;
    }
    for (std::size_t i = 0; i < one.steps.size(); ++i) {
      if (i > 0) finding.curl += '\n';
      for (const auto& binding : one.steps[i].bindings) {
        std::string members;
        for (const auto& name : binding.members) members += "." + name;
        finding.curl +=
            fmt::format("# {}: {} in the answer to request {}\n",
                        one.steps[i].operation->parameters[binding.parameter].name, members, binding.step + 1);
      }
      finding.curl += sender_.curl(one.steps[i]);
    }
  }

  void conclude() {
    report_.duration = Time::now() - begun_;
    const auto is_closed = [&](std::size_t i) { return service_.operations[i].closed; };
    if (const auto count = std::ranges::count_if(chosen_, is_closed); count != 0) {
      report_.notes.push_back(fmt::format("{} of {} operations want credentials: with --auth they are tried further",
                                          count, chosen_.size()));
    }
    for (const std::size_t i : chosen_) {
      const auto& counts = report_.operations[i];
      if (counts.successes == 0 && counts.requests > 0 && !is_closed(i))
        report_.notes.push_back(fmt::format("{}: none of {} requests succeeded", counts.operation, counts.requests));
    }
    std::erase_if(report_.operations, [](const auto& one) { return one.requests == 0; });
  }

  void tell(const FuzzOperation& operation) {
    if (!options_.on_progress || report_.cases % 32 != 0) return;
    const auto now = Time::now();
    if (now - told_ < std::chrono::milliseconds(100)) return;
    told_ = now;
    const double seconds = std::chrono::duration<double>(now - begun_).count();
    options_.on_progress(
        {report_.cases, report_.findings.size(), static_cast<double>(report_.cases) / seconds, operation.name});
  }

  FuzzOptions options_;
  FuzzService service_;
  FuzzAccounts accounts_;
  FuzzSender sender_;
  FuzzReport report_;
  std::vector<std::size_t> chosen_;
  std::map<std::string, std::size_t> seen_;
  std::set<std::size_t> logged_in_;  // operations that gave credentials
  std::size_t log_ins_ = 0, tries_to_log_in_ = 0;
  std::size_t next_ = 0;  // group
  std::size_t cases_by_chance_ = 0;
  std::vector<Group> waiting_;  // what is left of groups that have begun
  FuzzStock stock_;
  std::size_t deletions_ = 0;
  std::vector<std::pair<FuzzCase, Outcome>> suspects_;  // of those that were under way together
  bool stale_ = false;                                  // credentials that were given are taken no more
  Time::time_point begun_, told_{};
};

}  // namespace
}  // namespace detail

Task<FuzzReport> fuzz(App& app, FuzzOptions options) {
  detail::Fuzzing fuzzing(app, std::move(options));
  co_return co_await fuzzing.run();
}

}  // namespace ashlar
