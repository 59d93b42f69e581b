#include <ashlar/pg/table.hpp>

#include <mutex>

namespace ashlar::pg {
namespace {

struct Registry {
  std::mutex mutex;
  TableDeclaration* first = nullptr;
};

Registry& registry() {
  static auto* instance = new Registry;  // tables are globals too: it must outlive them
  return *instance;
}

}  // namespace

TableDeclaration::TableDeclaration(const TableSpec& spec, std::source_location where) : spec_(&spec), where_(where) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  next_ = all.first;
  link_ = &all.first;
  if (next_ != nullptr) next_->link_ = &next_;
  all.first = this;
}

TableDeclaration::~TableDeclaration() {
  const std::lock_guard lock(registry().mutex);
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
}

void TableDeclaration::for_each(const std::function<void(const TableDeclaration&)>& f) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  for (const TableDeclaration* table = all.first; table != nullptr; table = table->next_) f(*table);
}

}  // namespace ashlar::pg
