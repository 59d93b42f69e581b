// What cases of fuzz() have made and others may use: making it anew for each would cost more than the cases themselves,
// a sign-up with its password above all, and lists would grow with every case.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <ashlar/app/detail/fuzz_case.hpp>
#include <ashlar/schema/sample.hpp>

namespace ashlar::detail {

class FuzzStock {
 public:
  using Entry = std::shared_ptr<const FuzzMade>;

  /// What this operation made. Of many the oldest is not given any more, nor is what was made of it: it is returned.
  Entry add(std::size_t operation, Entry entry);
  /// One by chance; null: there is none.
  [[nodiscard]] Entry any(std::size_t operation, schema::Random& random) const;
  /// The same, for a case that will delete it: nobody else uses it.
  [[nodiscard]] Entry take(std::size_t operation, schema::Random& random);
  /// It is not there any more, nor is what was made of it.
  void drop(const Entry& entry);

 private:
  std::vector<std::vector<Entry>> entries_;  // by operation
};

}  // namespace ashlar::detail
