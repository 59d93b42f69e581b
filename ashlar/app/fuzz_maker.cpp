// Cases of fuzz(): by chance, and on the bounds of what an operation takes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include <ashlar/app/detail/fuzz_case.hpp>
#include <ashlar/app/detail/fuzz_stock.hpp>
#include <ashlar/app/detail/fuzz_wrong.hpp>

namespace ashlar::detail {
namespace {

using schema::Change;
using schema::Letters;
using Intent = FuzzCase::Intent;

constexpr int kTries = 12;
constexpr int kDeepest = 3;                                   // makers of makers
constexpr std::size_t kMostWrong = 4, kWrongCredentials = 1;  // around one that is right
constexpr std::array kMethods = {http::Method::get, http::Method::post, http::Method::put, http::Method::patch,
                                 http::Method::del};

bool has_nul(const Tree& value) {
  const auto in = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  return in(value.text) || std::ranges::any_of(value.names, in) || std::ranges::any_of(value.items, has_nul);
}

bool answers_with(const FuzzOperation& operation, int status) { return operation.answers.contains(status); }

}  // namespace

std::optional<FuzzStep> FuzzMaker::step(const FuzzOperation& operation, Letters letters) {
  for (int i = 0; i < kTries; ++i) {
    FuzzStep out;
    out.operation = &operation;
    out.method = operation.method;
    out.values.resize(operation.parameters.size());
    for (std::size_t p = 0; p < out.values.size(); ++p) {
      const FuzzParameter& parameter = operation.parameters[p];
      if (!parameter.required && random_.one_in(2)) continue;
      const bool narrow = parameter.in == FuzzPlace::header || parameter.in == FuzzPlace::cookie;
      for (int tries = 0; tries < kTries && !out.values[p]; ++tries) {
        Tree value = as_read(*parameter.node, sample(*parameter.node, random_, narrow ? Letters::plain : letters));
        if (may_be_sent(parameter.in, value)) out.values[p] = std::move(value);
      }
    }
    if (operation.body && !operation.has_form) {
      const FuzzBody& body = *operation.body;
      if (takes_json(body)) {
        if (whole_) {
          out.body = sample_whole(*body.node, random_, letters);
        } else if (body.required || !random_.one_in(4)) {
          out.body = sample(*body.node, random_, letters);
        }
      } else if (operation.has_files) {
        out.bytes = "--ashlar-fuzz-boundary--\r\n";
      } else if (body.node != nullptr) {
        out.bytes = sample(*body.node, random_, letters).plain();
      } else {
        out.bytes = std::string(random_.below(40), static_cast<char>(random_.below(256)));
      }
    }
    const bool read = out.bytes || fuzz_is_read(out).value_or(true);
    if (read && FuzzSender::target(out)) return out;
  }
  gave_up_ = true;
  return std::nullopt;
}

// A maker's data is tame more often: what it makes is what this is about.
Letters FuzzMaker::letters(int depth) {
  constexpr std::array kAll = {Letters::any, Letters::any, Letters::plain, Letters::tame};
  if (tame_) return Letters::tame;
  return depth == 0 ? kAll[random_.below(4)] : kAll[1 + random_.below(3)];
}

// Only where it begins: what is made on top of it then belongs to it.
bool FuzzMaker::use_stock(std::size_t maker, Chain& out, bool takes) {
  constexpr std::uint64_t kAnew = 6;  // what many have used is not all that there is to find
  if (stock_ == nullptr || !out.steps.empty() || random_.one_in(kAnew)) return false;
  auto made = takes ? stock_->take(maker, random_) : stock_->any(maker, random_);
  if (made == nullptr) return false;
  start_with(std::move(made), out);
  return true;
}

void FuzzMaker::start_with(std::shared_ptr<const FuzzMade> made, Chain& out) const {
  out.steps = made->steps;
  constexpr std::size_t kNone = ~std::size_t{0};
  for (const FuzzStep& step : out.steps) {
    const auto operation = static_cast<std::size_t>(step.operation - service_.operations.data());
    out.operations.push_back(operation == made->operation ? kNone : operation);
  }
  out.operations.back() = made->operation;
  out.made = std::move(made);
}

// What makes the parts of the path first, and with `again` what was given the same values; then the operation itself.
bool FuzzMaker::chain(std::size_t operation, Chain& out, int depth, bool again) {
  const FuzzOperation& described = service_.operations[operation];
  auto own = step(described, letters(depth));
  if (!own) return false;
  // The place of the step that makes what is needed; nullopt: none could be made.
  const auto made_by = [&](std::size_t maker, bool takes) -> std::optional<std::size_t> {
    auto at = std::ranges::find(out.operations, maker);
    if (at == out.operations.end()) {
      // Who logs in on the way must have signed up.
      const bool logs_in = !service_.operations[maker].grants.empty();
      if (!use_stock(maker, out, takes) && !chain(maker, out, depth + 1, logs_in)) return std::nullopt;
      at = std::prev(out.operations.end());
    }
    return static_cast<std::size_t>(at - out.operations.begin());
  };
  const auto may_make = [&](std::size_t maker) {
    const FuzzOperation& one = service_.operations[maker];
    return depth < kDeepest && !one.excluded && !one.closed;
  };
  // The last first: it belongs to those before it, and brings them along.
  for (std::size_t p = described.path_parameters; p-- > 0;) {
    const auto& sources = described.parameters[p].sources;
    if (sources.empty() || depth >= kDeepest) continue;
    const bool is_last = p + 1 == described.path_parameters && described.path.ends_with('}');
    const bool deletes = is_last && described.method == http::Method::del && depth == 0;
    // What changes or deletes a thing is about what was made, not about what else has told its name.
    const bool changes = is_last && described.method != http::Method::get && described.method != http::Method::post;
    const auto& source = sources[!changes && random_.one_in(4) ? random_.below(sources.size()) : 0];
    if (!may_make(source.operation)) continue;
    const auto at = made_by(source.operation, deletes);
    if (!at) return false;
    own->bindings.push_back({p, *at, source.members});
  }
  if (again && !described.reuses.empty()) {
    const auto& reuse = described.reuses[random_.one_in(4) ? random_.below(described.reuses.size()) : 0];
    if (may_make(reuse.operation)) {
      const auto at = made_by(reuse.operation, false);
      if (!at) return false;
      own->again.push_back({*at, &reuse});
      FuzzSender::take_again(*own, out.steps, true);
    }
  }
  out.steps.push_back(std::move(*own));
  out.operations.push_back(operation);
  return true;
}

std::optional<FuzzCase> FuzzMaker::log_in(std::size_t operation) {
  tame_ = true;
  Chain made;
  if (!chain(operation, made, 0, true)) return std::nullopt;
  FuzzCase one;
  one.steps = std::move(made.steps);
  one.intent = intent_of(one.steps.back());
  return one;
}

Intent FuzzMaker::intent_of(const FuzzStep& step) {
  // Few databases hold a NUL, and a service may say so; a failure it is not.
  if ((step.body && has_nul(*step.body)) ||
      std::ranges::any_of(step.values, [](const auto& value) { return value && has_nul(*value); }))
    return Intent::anything;
  return fuzz_is_read(step).value_or(false) && fuzz_fits(step) ? Intent::fits : Intent::anything;
}

std::optional<FuzzMaker::Drawn> FuzzMaker::draw(std::size_t operation) {
  const FuzzOperation& described = service_.operations[operation];
  Drawn drawn;
  FuzzCase& one = drawn.one;
  // Who logs in must have signed up; elsewhere it is one idea of many.
  const bool again = !described.reuses.empty() && random_.one_in(described.grants.empty() ? 6 : 2);
  if (!again && random_.one_in(5)) {
    auto alone = step(described, Letters::any);
    if (!alone) return std::nullopt;
    one.steps.push_back(std::move(*alone));
  } else {
    Chain made;
    if (!chain(operation, made, 0, again)) return std::nullopt;
    one.steps = std::move(made.steps);
    one.made = std::move(made.made);
  }
  judge(drawn);
  return drawn;
}

void FuzzMaker::judge(Drawn& drawn) {
  FuzzCase& one = drawn.one;
  drawn.step = one.shared = one.steps.size() - 1;
  one.intent = intent_of(one.steps.back());
  drawn.fits = one.intent == Intent::fits;
}

// Some more steps, or another user.
void FuzzMaker::add_uses(Drawn& drawn, std::size_t operation) {
  const FuzzOperation& described = service_.operations[operation];
  FuzzCase& one = drawn.one;
  const auto use = [&](const FuzzOperation* user, std::vector<FuzzStep::Binding> bindings, Intent intent) {
    auto next = user->excluded ? std::nullopt : step(*user, Letters::tame);
    if (!next) return;
    const auto& values = one.steps[drawn.step].values;
    for (std::size_t p = 0; p < described.path_parameters && p < user->path_parameters; ++p)
      next->values[p] = values[p];
    next->bindings = std::move(bindings);
    one.steps.push_back(std::move(*next));
    one.intent = intent;
  };
  const FuzzStep& last = one.steps.back();
  if (random_.one_in(3)) {
    // Somebody else, who may be refused.
    if (!described.secured || described.closed || !service_.has_others || random_.one_in(2)) return;
    one.steps.back().account = 1;
    if (one.intent == Intent::fits) one.intent = Intent::anything;
  } else if (described.method == http::Method::del && !last.bindings.empty()) {
    if (const auto* get = service_.at_same_path(described, http::Method::get))
      use(get, last.bindings, Intent::use_what_is_gone);
  } else if (described.method == http::Method::post && answers_with(described, 201)) {
    for (const auto& user : service_.operations) {
      const bool reads = user.method == http::Method::get && user.path_parameters == described.path_parameters + 1;
      if (!reads) continue;
      const auto& sources = user.parameters[user.path_parameters - 1].sources;
      if (sources.empty() || sources.front().operation != operation || !user.path.starts_with(described.path)) continue;
      auto bindings = last.bindings;
      bindings.push_back({user.path_parameters - 1, drawn.step, sources.front().members});
      use(&user, std::move(bindings), Intent::use_what_is_new);
      break;
    }
  }
}

std::optional<FuzzCase> FuzzMaker::by_chance(std::size_t operation) {
  auto drawn = draw(operation);
  if (!drawn) return std::nullopt;
  add_uses(*drawn, operation);
  return std::move(drawn->one);
}

std::vector<FuzzCase> FuzzMaker::group_by_chance(std::size_t operation) {
  auto drawn = draw(operation);
  return drawn ? group_around(std::move(*drawn), operation) : std::vector<FuzzCase>();
}

std::vector<FuzzCase> FuzzMaker::group_of_deletion(std::size_t operation, std::shared_ptr<const FuzzMade> made) {
  Chain deletion;
  start_with(std::move(made), deletion);
  if (!chain(operation, deletion, 0, false)) return {};
  Drawn drawn;
  drawn.one.steps = std::move(deletion.steps);
  drawn.one.made = std::move(deletion.made);
  drawn.one.steps.back().account = drawn.one.made->steps.back().account;  // who has made it may
  judge(drawn);
  return group_around(std::move(drawn), operation);
}

std::vector<FuzzCase> FuzzMaker::group_around(Drawn drawn, std::size_t operation) {
  std::vector<FuzzCase> all;
  const FuzzCase& right = drawn.one;
  const auto add = [&](Intent intent, FuzzStep step, std::string why) {
    FuzzCase& one = all.emplace_back();
    one.intent = intent;
    one.steps.reserve(right.steps.size());
    one.steps.assign(right.steps.begin(), right.steps.end() - 1);
    one.steps.push_back(std::move(step));
    one.why = std::move(why);
    one.shared = right.shared;
    one.made = right.made;
  };
  const FuzzStep& last = right.steps.back();
  auto ways = ways_to_be_wrong(last, random_);
  // There are more ways to be wrong than to be right, and they cost less; one request in six fits, at the least.
  const std::size_t most = std::min<std::size_t>(kMostWrong, (ways.size() + 3) / 4);
  while (all.size() < most && !ways.empty()) {
    const auto at = ways.begin() + static_cast<std::ptrdiff_t>(random_.below(ways.size()));
    const FuzzWrong way = std::move(*at);
    *at = std::move(ways.back());
    ways.pop_back();
    FuzzStep spoiled = last;
    if (std::string why; spoil(spoiled, way, why)) add(Intent::unfit, std::move(spoiled), std::move(why));
  }
  if (drawn.fits) {
    auto credentials = wrong_credentials(last);
    for (std::size_t i = 0; i < kWrongCredentials && !credentials.empty(); ++i) {
      const auto at = credentials.begin() + static_cast<std::ptrdiff_t>(random_.below(credentials.size()));
      FuzzStep refused = last;
      refused.credentials = *at;
      credentials.erase(at);
      add(Intent::no_credentials, std::move(refused), {});
    }
  }
  add_uses(drawn, operation);
  all.push_back(std::move(drawn.one));
  return all;
}

std::vector<FuzzCase> FuzzMaker::on_bounds(std::size_t operation) {
  const FuzzOperation& described = service_.operations[operation];
  std::vector<FuzzCase> all;
  Chain made;
  if (!chain(operation, made, 0, false)) return all;
  FuzzCase base;
  base.steps = std::move(made.steps);
  const auto take = [&](std::optional<FuzzStep> one) {
    if (!one) return false;
    one->bindings = base.steps.back().bindings;
    base.steps.back() = std::move(*one);
    return true;
  };
  whole_ = true;
  const bool is_whole = take(step(described, Letters::tame));
  whole_ = false;
  if (!is_whole) take(step(described, Letters::tame));
  base.intent = intent_of(base.steps.back());
  // What a case deletes is not there for the next one.
  const std::size_t shared = base.steps.size() - 1;
  base.shared = described.method == http::Method::del ? 0 : shared;
  all.push_back(base);
  if (!described.grants.empty() && !described.reuses.empty()) {
    Chain known;
    if (chain(operation, known, 0, true)) {
      FuzzCase& one = all.emplace_back();
      one.steps = std::move(known.steps);
      one.intent = intent_of(one.steps.back());
    }
  }
  const FuzzStep& last = base.steps.back();
  const auto add = [&](Intent intent, FuzzStep step, std::string why) {
    if (!FuzzSender::target(step)) return;
    FuzzCase& one = all.emplace_back(base);
    one.intent = intent;
    one.steps.back() = std::move(step);
    one.why = std::move(why);
    if (intent != Intent::fits && intent != Intent::anything) one.shared = shared;
  };
  const auto add_fitting = [&](FuzzStep step) {
    const Intent intent = intent_of(step);
    add(intent, std::move(step), {});
  };
  if (last.body) {
    for (const Change& change : boundaries(*described.body->node, *last.body)) {
      FuzzStep one = last;
      change.apply(*one.body);
      add_fitting(std::move(one));
    }
  }
  for (std::size_t p = 0; p < described.parameters.size(); ++p) {
    const FuzzParameter& parameter = described.parameters[p];
    if (std::ranges::any_of(last.bindings, [&](const auto& one) { return one.parameter == p; })) continue;
    const Tree value = as_read(*parameter.node, sample(*parameter.node, random_, Letters::tame));
    if (!fits_schema(*parameter.node, value)) continue;
    for (const Change& change : boundaries(*parameter.node, value)) {
      FuzzStep one = last;
      one.values[p] = value;
      change.apply(*one.values[p]);
      if (!may_be_sent(parameter.in, *one.values[p])) continue;
      one.values[p] = as_read(*parameter.node, *one.values[p]);
      add_fitting(std::move(one));
    }
  }
  for (const FuzzWrong& way : ways_to_be_wrong(last, random_)) {
    FuzzStep spoiled = last;
    if (std::string why; spoil(spoiled, way, why)) add(Intent::unfit, std::move(spoiled), std::move(why));
  }
  if (base.intent == Intent::fits) {
    for (const FuzzCredentials credentials : wrong_credentials(last)) {
      FuzzStep refused = last;
      refused.credentials = credentials;
      add(Intent::no_credentials, std::move(refused), {});
    }
  }
  const auto first = std::ranges::find_if(service_.operations, [&](const auto& other) {
    return other.core == described.core && other.path == described.path;
  });
  if (&*first != &described) return all;
  for (const auto method : kMethods) {
    if ((described.methods >> static_cast<unsigned>(method) & 1) != 0) continue;
    FuzzCase one;
    one.intent = Intent::other_method;
    one.steps.push_back(last);
    one.steps.front().bindings.clear();
    one.steps.front().method = method;
    if (FuzzSender::target(one.steps.front())) all.push_back(std::move(one));
  }
  return all;
}

}  // namespace ashlar::detail
