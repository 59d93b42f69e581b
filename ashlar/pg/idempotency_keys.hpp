// IdempotencyKeys: the keys of requests that must not be done twice, in the database that all processes share.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <ashlar/async/component.hpp>
#include <ashlar/async/idempotency_store.hpp>
#include <ashlar/pg/db.hpp>

namespace ashlar::pg {

struct IdempotencyKeysOptions {
  /// How often each process removes keys whose time has come, a thousand at a time.
  std::chrono::milliseconds sweep_every = std::chrono::minutes{1};
};

/// One row a key in the table ashlar_idempotency_keys, made at the start when it is not there; who may not make
/// tables puts kCreateTable and kCreateIndex into a migration. One statement decides who does a request, however many
/// ask at once and on however many machines; the time is the database's. When a process dies in the middle, its keys
/// stay taken until their leases end.
///
/// The answer is written after the handler's own transaction has committed. A process that dies between the two leaves
/// a key that becomes free although its request was done: where that matters, let the handler write the key into a
/// column of its own with a unique constraint, in its transaction.
///
///   pg::Db db;  pg::IdempotencyKeys keys{db};
///   app.provide(db).provide(keys);
///   app.post<"/orders">(place, {.idempotency = Idempotency{per<current_user, &User::id>, keys}});
class IdempotencyKeys final : public async::Component, public async::IdempotencyStore {
 public:
  static constexpr std::string_view kCreateTable =
      "create table if not exists ashlar_idempotency_keys ("
      "key text primary key, fingerprint text not null, attempt uuid not null, "
      "lease_ends timestamptz not null, forget_at timestamptz not null, "
      "status integer, headers bytea, body bytea)";
  static constexpr std::string_view kCreateIndex =
      "create index if not exists ashlar_idempotency_keys_forget_at on ashlar_idempotency_keys (forget_at)";

  /// `db` is started before it.
  explicit IdempotencyKeys(Db& db, IdempotencyKeysOptions options = {});
  ~IdempotencyKeys() override;

  Task<Found> begin(Attempt attempt) override;
  Task<bool> complete(std::string key, Uuid attempt, Answer answer) override;
  Task<void> abandon(std::string key, Uuid attempt) override;

  /// Removes keys whose time has come, at most a thousand; gives how many.
  Task<std::uint64_t> sweep();

  [[nodiscard]] std::string_view name() const noexcept override { return "idempotency keys"; }
  Task<void> start_loop(async::Loop& loop) override;
  Task<void> stop_loop(async::Loop& loop) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ashlar::pg
