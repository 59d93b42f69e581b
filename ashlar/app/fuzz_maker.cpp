// Cases of fuzz(): by chance, and on the bounds of what an operation takes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include <ashlar/app/detail/fuzz_case.hpp>

namespace ashlar::detail {
namespace {

using schema::Change;
using schema::Letters;
using Intent = FuzzCase::Intent;

constexpr int kTries = 12;
constexpr int kDeepest = 3;  // makers of makers
constexpr std::array kMethods = {http::Method::get, http::Method::post, http::Method::put, http::Method::patch,
                                 http::Method::del};

constexpr std::string_view place_name(FuzzPlace place) {
  constexpr std::array<std::string_view, 5> names = {"path", "query", "header", "cookie", "form"};
  return names[static_cast<std::size_t>(place)];
}

// A text that has to be there becomes what its reader makes of it: "7" is the number for who wants one.
Tree as_read(const SchemaNode& node, const Tree& value) {
  if (node.takes(SchemaNode::kList) && node.types != SchemaNode::kAny) {
    Tree list = Tree::list();
    const SchemaNode any;
    const SchemaNode& inner = node.items != nullptr ? *node.items : any;
    if (value.kind == Tree::Kind::list) {
      for (const Tree& item : value.items) list.items.push_back(as_read(inner, item));
    } else {
      list.items.push_back(as_read(inner, value));
    }
    return list;
  }
  std::string text = value.plain();
  if (node.takes(SchemaNode::kText)) return Tree::of_text(std::move(text));
  const auto tree = schema::parse_tree(text);
  const bool is_scalar = tree && (tree->kind == Tree::Kind::number || tree->kind == Tree::Kind::boolean);
  return is_scalar ? *tree : Tree::of_text(std::move(text));
}

// Can it be sent there?
bool may_be_sent(FuzzPlace place, const Tree& value) {
  if (value.kind == Tree::Kind::list)
    return !value.items.empty() &&
           std::ranges::all_of(value.items, [&](const Tree& v) { return may_be_sent(place, v); });
  if (value.kind == Tree::Kind::object || value.kind == Tree::Kind::null) return false;
  const std::string text = value.plain();
  if (place == FuzzPlace::query || place == FuzzPlace::form) return true;
  if (text.empty()) return false;
  if (place == FuzzPlace::path) return true;
  return std::ranges::all_of(
             text,
             [&](char c) {
               return c >= (place == FuzzPlace::cookie ? '!' : ' ') && c < 0x7F &&
                      (place != FuzzPlace::cookie || std::string_view("\";,\\").find(c) == std::string_view::npos);
             }) &&
         text.front() != ' ' && text.back() != ' ';
}

bool is_json(const FuzzBody& body) { return body.media_type.ends_with("json") && body.node != nullptr; }

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
      if (is_json(body)) {
        if (body.required || !random_.one_in(4)) out.body = sample(*body.node, random_, letters);
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

// What makes the parts of the path first, and with `again` what was given the same values; then the operation itself.
bool FuzzMaker::chain(std::size_t operation, std::vector<FuzzStep>& steps, std::vector<std::size_t>& operations,
                      int depth, bool again) {
  const FuzzOperation& described = service_.operations[operation];
  auto own = step(described, letters(depth));
  if (!own) return false;
  // The place of the step that makes what is needed; nullopt: none could be made.
  const auto made_by = [&](std::size_t maker) -> std::optional<std::size_t> {
    auto at = std::ranges::find(operations, maker);
    if (at == operations.end()) {
      // Who logs in on the way must have signed up.
      const bool logs_in = !service_.operations[maker].grants.empty();
      if (!chain(maker, steps, operations, depth + 1, logs_in)) return std::nullopt;
      at = std::prev(operations.end());
    }
    return static_cast<std::size_t>(at - operations.begin());
  };
  const auto may_make = [&](std::size_t maker) {
    const FuzzOperation& one = service_.operations[maker];
    return depth < kDeepest && !one.excluded && !one.closed;
  };
  for (std::size_t p = 0; p < described.path_parameters; ++p) {
    const auto& sources = described.parameters[p].sources;
    if (sources.empty() || depth >= kDeepest) continue;
    const auto& source = sources[random_.one_in(4) ? random_.below(sources.size()) : 0];
    if (!may_make(source.operation)) continue;
    const auto at = made_by(source.operation);
    if (!at) return false;
    own->bindings.push_back({p, *at, source.members});
  }
  if (again && !described.reuses.empty()) {
    const auto& reuse = described.reuses[random_.one_in(4) ? random_.below(described.reuses.size()) : 0];
    if (may_make(reuse.operation)) {
      const auto at = made_by(reuse.operation);
      if (!at) return false;
      own->again.push_back({*at, &reuse});
      FuzzSender::take_again(*own, steps, true);
    }
  }
  steps.push_back(std::move(*own));
  operations.push_back(operation);
  return true;
}

std::optional<FuzzCase> FuzzMaker::log_in(std::size_t operation) {
  tame_ = true;
  FuzzCase one;
  std::vector<std::size_t> operations;
  if (!chain(operation, one.steps, operations, 0, true)) return std::nullopt;
  one.intent = intent_of(one.steps.back());
  return one;
}

// Makes one thing wrong. False: there is nothing that could be.
bool FuzzMaker::spoil(FuzzStep& step, std::string& why) {
  const FuzzOperation& operation = *step.operation;
  for (int i = 0; i < kTries; ++i) {
    FuzzStep spoiled = step;
    bool certain = true;
    const std::size_t parts = operation.parameters.size() + (step.body ? 3 : 0);
    if (parts == 0) return false;
    const std::size_t part = random_.below(parts);
    if (part >= operation.parameters.size()) {
      const auto change = neighbour(*operation.body->node, *step.body, random_);
      if (!change) continue;
      change->apply(*spoiled.body);
      certain = change->certain;
      why = fmt::format("an invalid body ({})", change->why);
    } else {
      const FuzzParameter& parameter = operation.parameters[part];
      auto& value = spoiled.values[part];
      if (std::ranges::any_of(step.bindings, [&](const auto& one) { return one.parameter == part; })) continue;
      if (!value) continue;
      if (parameter.required && parameter.in != FuzzPlace::path && random_.one_in(4)) {
        value.reset();
        why = fmt::format("a request without {} {}", place_name(parameter.in), parameter.name);
      } else {
        const auto change = neighbour(*parameter.node, *value, random_);
        if (!change) continue;
        change->apply(*value);
        if (!may_be_sent(parameter.in, *value)) continue;
        value = as_read(*parameter.node, *value);
        if (change->certain && fits_schema(*parameter.node, *value)) continue;
        certain = change->certain;
        why = fmt::format("an invalid {} parameter ({}: {})", place_name(parameter.in), parameter.name, change->why);
      }
    }
    spoiled.again.clear();
    if (fuzz_is_read(spoiled).value_or(!certain)) continue;  // its reader takes more than the description says
    if (!FuzzSender::target(spoiled)) continue;
    step = std::move(spoiled);
    return true;
  }
  return false;
}

Intent FuzzMaker::intent_of(const FuzzStep& step) {
  // Few databases hold a NUL, and a service may say so; a failure it is not.
  if ((step.body && has_nul(*step.body)) ||
      std::ranges::any_of(step.values, [](const auto& value) { return value && has_nul(*value); }))
    return Intent::anything;
  return fuzz_is_read(step).value_or(false) && fuzz_fits(step) ? Intent::fits : Intent::anything;
}

std::optional<FuzzCase> FuzzMaker::by_chance(std::size_t operation) {
  const FuzzOperation& described = service_.operations[operation];
  FuzzCase one;
  std::vector<std::size_t> operations;
  // Who logs in must have signed up; elsewhere it is one idea of many.
  const bool again = !described.reuses.empty() && random_.one_in(described.grants.empty() ? 6 : 2);
  if (!again && random_.one_in(5)) {
    auto alone = step(described, Letters::any);
    if (!alone) return std::nullopt;
    one.steps.push_back(std::move(*alone));
  } else if (!chain(operation, one.steps, operations, 0, again)) {
    return std::nullopt;
  }
  FuzzStep& last = one.steps.back();
  one.intent = intent_of(last);
  const auto use = [&](const FuzzOperation* user, std::vector<FuzzStep::Binding> bindings, Intent intent) {
    auto next = user->excluded ? std::nullopt : step(*user, Letters::tame);
    if (!next) return;
    for (std::size_t p = 0; p < user->path_parameters; ++p) {
      if (intent == Intent::use_what_is_gone) next->values[p] = last.values[p];
    }
    next->bindings = std::move(bindings);
    one.steps.push_back(std::move(*next));
    one.intent = intent;
  };
  switch (random_.below(6)) {
    case 0:
    case 1: {
      FuzzStep spoiled = last;
      if (!spoil(spoiled, one.why)) break;
      last = std::move(spoiled);
      one.intent = Intent::unfit;
      break;
    }
    case 2:
      if (!described.secured || one.intent != Intent::fits) break;
      last.credentials = random_.one_in(2) ? FuzzCredentials::none : FuzzCredentials::wrong;
      one.intent = Intent::no_credentials;
      break;
    case 3:
    case 4:
      if (described.method == http::Method::del && !last.bindings.empty()) {
        if (const auto* get = service_.at_same_path(described, http::Method::get))
          use(get, last.bindings, Intent::use_what_is_gone);
      } else if (described.method == http::Method::post && answers_with(described, 201)) {
        for (const auto& user : service_.operations) {
          const bool reads = user.method == http::Method::get && user.path_parameters == described.path_parameters + 1;
          if (!reads) continue;
          const auto& sources = user.parameters[user.path_parameters - 1].sources;
          if (sources.empty() || sources.front().operation != operation) continue;
          if (!user.path.starts_with(described.path)) continue;
          auto bindings = last.bindings;
          bindings.push_back({user.path_parameters - 1, one.steps.size() - 1, sources.front().members});
          const auto values = last.values;
          use(&user, std::move(bindings), Intent::use_what_is_new);
          for (std::size_t p = 0; p < described.path_parameters; ++p) one.steps.back().values[p] = values[p];
          break;
        }
      }
      break;
    default:
      // Somebody else, who may be refused.
      if (!described.secured || described.closed || !service_.has_others || !random_.one_in(2)) break;
      last.account = 1;
      if (one.intent == Intent::fits) one.intent = Intent::anything;
      break;
  }
  return one;
}

std::vector<FuzzCase> FuzzMaker::on_bounds(std::size_t operation) {
  const FuzzOperation& described = service_.operations[operation];
  std::vector<FuzzCase> all;
  FuzzCase base;
  std::vector<std::size_t> operations;
  if (!chain(operation, base.steps, operations, 0, false)) return all;
  if (auto tame = step(described, Letters::tame)) {
    tame->bindings = base.steps.back().bindings;
    base.steps.back() = std::move(*tame);
  }
  base.intent = intent_of(base.steps.back());
  all.push_back(base);
  if (!described.grants.empty() && !described.reuses.empty()) {
    FuzzCase known;
    operations.clear();
    if (chain(operation, known.steps, operations, 0, true)) {
      known.intent = intent_of(known.steps.back());
      all.push_back(std::move(known));
    }
  }
  const auto with = [&](Intent intent, std::string why, auto&& change) {
    FuzzCase one = base;
    change(one.steps.back());
    one.intent = intent == Intent::fits ? intent_of(one.steps.back()) : intent;
    one.why = std::move(why);
    if (intent == Intent::unfit && fuzz_is_read(one.steps.back()).value_or(false)) return;
    if (FuzzSender::target(one.steps.back())) all.push_back(std::move(one));
  };
  const FuzzStep& last = base.steps.back();
  if (last.body) {
    for (const Change& change : boundaries(*described.body->node, *last.body))
      with(Intent::fits, "", [&](FuzzStep& s) { change.apply(*s.body); });
    for (const Change& change : neighbours(*described.body->node, *last.body)) {
      FuzzStep spoiled = last;
      change.apply(*spoiled.body);
      if (fuzz_is_read(spoiled).value_or(!change.certain)) continue;
      with(Intent::unfit, fmt::format("an invalid body ({})", change.why), [&](FuzzStep& s) { change.apply(*s.body); });
    }
    with(Intent::unfit, "a body that is no JSON", [](FuzzStep& s) {
      s.bytes = s.body->json().substr(0, 1) + "\"a\":";
      s.body.reset();
    });
    if (described.body->required)
      with(Intent::unfit, "a request without its body", [](FuzzStep& s) { s.body.reset(); });
  }
  if (described.has_form && described.has_files)
    with(Intent::unfit, "a form that is cut off", [](FuzzStep& s) { s.bytes = FuzzSender::cut_off_form(s); });
  for (std::size_t p = 0; p < described.parameters.size(); ++p) {
    const FuzzParameter& parameter = described.parameters[p];
    const bool bound = std::ranges::any_of(last.bindings, [&](const auto& one) { return one.parameter == p; });
    if (parameter.required && parameter.in != FuzzPlace::path) {
      with(Intent::unfit, fmt::format("a request without {} {}", place_name(parameter.in), parameter.name),
           [&](FuzzStep& s) { s.values[p].reset(); });
    }
    Tree value = as_read(*parameter.node, sample(*parameter.node, random_, Letters::tame));
    if (bound || !fits_schema(*parameter.node, value)) continue;
    const auto put = [&](const Change& change, Intent intent, std::string why) {
      Tree changed = value;
      change.apply(changed);
      if (!may_be_sent(parameter.in, changed)) return;
      changed = as_read(*parameter.node, changed);
      if (intent == Intent::unfit) {
        if (change.certain && fits_schema(*parameter.node, changed)) return;
        FuzzStep spoiled = last;
        spoiled.values[p] = changed;
        if (fuzz_is_read(spoiled).value_or(!change.certain)) return;
      }
      with(intent, std::move(why), [&](FuzzStep& s) { s.values[p] = changed; });
    };
    for (const Change& change : boundaries(*parameter.node, value)) put(change, Intent::fits, "");
    for (const Change& change : neighbours(*parameter.node, value))
      put(change, Intent::unfit,
          fmt::format("an invalid {} parameter ({}: {})", place_name(parameter.in), parameter.name, change.why));
  }
  if (described.secured && base.intent == Intent::fits) {
    with(Intent::no_credentials, "", [](FuzzStep& s) { s.credentials = FuzzCredentials::none; });
    with(Intent::no_credentials, "", [](FuzzStep& s) { s.credentials = FuzzCredentials::wrong; });
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
