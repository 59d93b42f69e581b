#include <ashlar/app/detail/fuzz_stock.hpp>

#include <algorithm>
#include <utility>

namespace ashlar::detail {
namespace {

constexpr std::size_t kMost = 8;       // of one operation
constexpr std::size_t kMostSteps = 6;  // to something that is used again

// Is the same thing among what an entry was made of?
bool is_made_of(const FuzzMade& one, const FuzzAnswers& other) {
  return std::ranges::any_of(one.answers, [&](const auto& answer) { return answer == other.back(); });
}

// Which part of its path says what it changes; null: it does not change what an earlier step made.
const FuzzStep::Binding* changed_by(const FuzzStep& step) {
  const FuzzOperation& operation = *step.operation;
  const bool changes = step.method == http::Method::put || step.method == http::Method::patch;
  if (!changes || !operation.path.ends_with('}')) return nullptr;
  const auto last = std::ranges::find(step.bindings, operation.path_parameters - 1, &FuzzStep::Binding::parameter);
  return last == step.bindings.end() ? nullptr : &*last;
}

bool has_member(const FuzzAnswer& answer, const FuzzStep::Binding& binding) {
  const Tree* at = answer.tree();
  for (const auto& name : binding.members) {
    if (at != nullptr) at = at->find(name);
  }
  return at != nullptr && (at->kind == Tree::Kind::text || at->kind == Tree::Kind::number);
}

FuzzStock::Entry entry_of(const FuzzCase& one, const FuzzAnswers& answers, std::size_t count, std::size_t operation) {
  const auto end = static_cast<std::ptrdiff_t>(count);
  return std::make_shared<FuzzMade>(FuzzMade{.steps = {one.steps.begin(), one.steps.begin() + end},
                                             .answers = {answers.begin(), answers.begin() + end},
                                             .operation = operation});
}

}  // namespace

FuzzStock::FuzzStock(const FuzzService& service, const std::vector<std::size_t>& chosen) : service_(&service) {
  for (const FuzzOperation& one : service.operations) {
    for (const FuzzParameter& parameter : one.parameters) {
      for (const auto& source : parameter.sources) makes_.insert(source.operation);
    }
    for (const FuzzReuse& reuse : one.reuses) makes_.insert(reuse.operation);
  }
  for (const std::size_t i : chosen) {
    const FuzzOperation& one = service.operations[i];
    if (one.method != http::Method::del || one.path_parameters == 0 || !one.path.ends_with('}')) continue;
    const auto& sources = one.parameters[one.path_parameters - 1].sources;
    if (!sources.empty()) deletions_of_.emplace(sources.front().operation, i);
  }
}

std::size_t FuzzStock::index_of(const FuzzStep& step) const {
  return static_cast<std::size_t>(step.operation - service_->operations.data());
}

// What kind of thing it is that this step has made or changed.
std::size_t FuzzStock::maker_of(const FuzzCase& one, std::size_t step) const {
  const bool is_known = one.made != nullptr && one.made->steps.size() == step + 1;
  return is_known ? one.made->operation : index_of(one.steps[step]);
}

FuzzStock::Entry FuzzStock::first_steps(const FuzzCase& one, const FuzzAnswers& answers, std::size_t count) const {
  if (one.made != nullptr && one.made->steps.size() == count) return one.made;
  return entry_of(one, answers, count, index_of(one.steps[count - 1]));
}

void FuzzStock::keep(const FuzzCase& one, const FuzzAnswers& answers) {
  const auto deletes = [](const FuzzStep& step) { return step.method == http::Method::del; };
  if (std::ranges::any_of(one.steps, deletes)) return;
  for (std::size_t i = one.made != nullptr ? one.made->steps.size() : 0; i < answers.size(); ++i) {
    const FuzzStep& step = one.steps[i];
    const bool is_right = i + 1 < one.steps.size() || one.is_about_what_is_there();
    if (!is_right || answers[i]->status >= 300) continue;
    if (makes_.contains(index_of(step))) {
      keep(entry_of(one, answers, i + 1, index_of(step)));
    } else if (const auto* changed = changed_by(step); changed != nullptr && has_member(*answers[i], *changed)) {
      // It may have another name now ("slug"), and then what was made of it has another path.
      drop(first_steps(one, answers, changed->step + 1));
      keep(entry_of(one, answers, i + 1, maker_of(one, changed->step)));
    }
  }
}

// Lists must not grow with each case, nor steps without end.
void FuzzStock::keep(Entry made) {
  const bool is_usable = made->steps.back().account == 0 && made->steps.size() <= kMostSteps;
  const std::size_t operation = made->operation;
  if (is_usable) made = add(operation, std::move(made));
  if (made != nullptr) keep_for_deletion(std::move(made));
}

void FuzzStock::keep_for_deletion(Entry made) {
  const auto deletion = deletions_of_.find(made->operation);
  if (deletion != deletions_of_.end()) unneeded_.push_back({deletion->second, std::move(made)});
}

std::optional<FuzzStock::Unneeded> FuzzStock::next_unneeded() {
  if (unneeded_.empty()) return std::nullopt;
  Unneeded last = std::move(unneeded_.back());
  unneeded_.pop_back();
  return last;
}

FuzzStock::Entry FuzzStock::add(std::size_t operation, Entry entry) {
  if (entries_.size() <= operation) entries_.resize(operation + 1);
  entries_[operation].push_back(std::move(entry));
  if (entries_[operation].size() <= kMost) return nullptr;
  Entry oldest = entries_[operation].front();
  drop(oldest);
  return oldest;
}

FuzzStock::Entry FuzzStock::any(std::size_t operation, schema::Random& random) const {
  if (entries_.size() <= operation || entries_[operation].empty()) return nullptr;
  return random.pick(entries_[operation]);
}

FuzzStock::Entry FuzzStock::take(std::size_t operation, schema::Random& random) {
  Entry entry = any(operation, random);
  if (entry != nullptr) drop(entry);
  return entry;
}

void FuzzStock::drop(const Entry& entry) {
  for (auto& all : entries_)
    std::erase_if(all, [&](const Entry& one) { return one == entry || is_made_of(*one, entry->answers); });
}

}  // namespace ashlar::detail
