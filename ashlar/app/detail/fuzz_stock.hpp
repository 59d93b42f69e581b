// What cases of fuzz() have made and others may use: making it anew for each would cost more than the cases themselves,
// a sign-up with its password above all, and lists would grow with every case.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <ashlar/app/detail/fuzz_case.hpp>
#include <ashlar/app/detail/fuzz_service.hpp>
#include <ashlar/schema/sample.hpp>

namespace ashlar::detail {

class FuzzStock {
 public:
  using Entry = std::shared_ptr<const FuzzMade>;
  struct Unneeded {
    std::size_t operation;  // that deletes it
    Entry made;
  };

  FuzzStock() = default;
  /// `chosen`: the operations that may delete what is not needed any more.
  FuzzStock(const FuzzService& service, const std::vector<std::size_t>& chosen);

  /// What a case has made or changed, with an answer for each of its steps that was sent, none of them wrong.
  void keep(const FuzzCase& one, const FuzzAnswers& answers);
  /// It is there still, and in stock no more.
  void keep_for_deletion(Entry made);
  std::optional<Unneeded> next_unneeded();
  /// So many steps at the beginning of a case.
  [[nodiscard]] Entry first_steps(const FuzzCase& one, const FuzzAnswers& answers, std::size_t count) const;

  /// What this operation made. Of many the oldest is not given any more, nor is what was made of it: it is returned.
  Entry add(std::size_t operation, Entry entry);
  /// One by chance; null: there is none.
  [[nodiscard]] Entry any(std::size_t operation, schema::Random& random) const;
  /// The same, for a case that will delete it: nobody else uses it.
  [[nodiscard]] Entry take(std::size_t operation, schema::Random& random);
  /// It is not there any more, nor is what was made of it.
  void drop(const Entry& entry);

 private:
  [[nodiscard]] std::size_t index_of(const FuzzStep& step) const;
  [[nodiscard]] std::size_t maker_of(const FuzzCase& one, std::size_t step) const;
  void keep(Entry made);

  const FuzzService* service_ = nullptr;
  std::set<std::size_t> makes_;                      // operations that make what others use
  std::map<std::size_t, std::size_t> deletions_of_;  // of what an operation makes
  std::vector<std::vector<Entry>> entries_;          // by operation
  std::vector<Unneeded> unneeded_;
};

}  // namespace ashlar::detail
