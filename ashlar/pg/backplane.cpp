#include <ashlar/pg/backplane.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/background.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg {

namespace detail {
namespace {

constexpr std::size_t kHead = 16 + 8 + 2 + 2;  // sender, number of the batch, part, parts
constexpr std::size_t kPart = BatchWriter::kMostPayload / 4 * 3 - kHead;
constexpr std::size_t kMostParts = 4096;
constexpr std::size_t kMostSenders = 4096;

template <class T>
void put(std::string& out, T value) {
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8) {
    out += static_cast<char>(value >> shift & 0xff);
  }
}

template <class T>
T get(std::string_view& in) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value << 8 | static_cast<std::uint8_t>(in[i]));
  in.remove_prefix(sizeof(T));
  return value;
}

std::string_view view(const std::array<std::uint8_t, 16>& id) noexcept {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

}  // namespace

void BatchWriter::add(std::string& batch, std::string_view topic, std::string_view payload) {
  put(batch, static_cast<std::uint32_t>(topic.size()));
  put(batch, static_cast<std::uint32_t>(payload.size()));
  batch.append(topic).append(payload);
}

std::vector<std::string> BatchWriter::pack(std::string_view batch) {
  ++number_;
  const std::size_t parts = std::max<std::size_t>(1, (batch.size() + kPart - 1) / kPart);
  std::vector<std::string> notifications;
  for (std::size_t part = 0; part < parts; ++part) {
    std::string bytes(view(sender_));
    put(bytes, number_);
    put(bytes, static_cast<std::uint16_t>(part));
    put(bytes, static_cast<std::uint16_t>(parts));
    bytes.append(batch.substr(part * kPart, kPart));
    notifications.push_back(base64_encode(bytes));
  }
  return notifications;
}

BatchReader::Result BatchReader::take(std::string_view notification, const async::Backplane::Deliver& deliver) {
  const auto decoded = base64_decode(notification);
  if (!decoded || decoded->size() < kHead) return Result::malformed;
  std::string_view rest(*decoded);
  const std::string_view from = rest.substr(0, 16);
  if (from == view(self_)) return Result::ignored;
  rest.remove_prefix(16);
  const auto number = get<std::uint64_t>(rest);
  const auto part = get<std::uint16_t>(rest);
  const auto parts = get<std::uint16_t>(rest);
  if (part >= parts || parts > kMostParts || rest.size() > kPart) return Result::malformed;
  auto found = senders_.find(std::string(from));
  if (found == senders_.end()) {
    if (senders_.size() >= kMostSenders) senders_.clear();  // processes that have gone; those that are there come again
    found = senders_.emplace(from, Sender{}).first;
  }
  Sender& sender = found->second;
  if (number <= sender.last) return Result::ignored;  // sent again, because its sender could not know that it arrived
  if (part == 0) {
    sender.number = number;
    sender.next = 0;
    sender.bytes.clear();
  }
  if (number != sender.number || part != sender.next) {  // we came in the middle of it
    sender.bytes.clear();
    sender.number = 0;
    return Result::malformed;
  }
  sender.bytes.append(rest);
  if (++sender.next < parts) return Result::taken;
  sender.last = number;
  const std::string batch = std::exchange(sender.bytes, {});
  return unpack(batch, deliver) ? Result::taken : Result::malformed;
}

bool BatchReader::unpack(std::string_view batch, const async::Backplane::Deliver& deliver) {
  while (!batch.empty()) {
    if (batch.size() < 8) return false;
    const auto topic_size = get<std::uint32_t>(batch);
    const auto payload_size = get<std::uint32_t>(batch);
    if (topic_size > batch.size() || payload_size > batch.size() - topic_size) return false;
    deliver(batch.substr(0, topic_size), batch.substr(topic_size, payload_size));
    batch.remove_prefix(std::size_t{topic_size} + payload_size);
  }
  return true;
}

}  // namespace detail

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostBatch = 256 * 1024;  // messages that travel together, unless one is larger

std::array<std::uint8_t, 16> new_id() {
  std::array<std::uint8_t, 16> id;
  random_bytes(id.data(), id.size());
  return id;
}

}  // namespace

struct NotifyBackplane::Impl final : detail::ConnectionOwner {
  Impl(Db& database, BackplaneOptions the_options)
      : db(database), options(std::move(the_options)), self(new_id()), writer(self), reader(self) {}

  Db& db;
  BackplaneOptions options;
  std::array<std::uint8_t, 16> self;

  mutable std::mutex mutex;  // for these
  Deliver deliver;
  std::string pending;               // messages as in a batch, one behind the other
  std::vector<std::size_t> borders;  // where each of them ends
  async::Loop* home = nullptr;

  // On the home loop only.
  detail::BatchWriter writer;
  detail::BatchReader reader;
  detail::Background background;
  std::vector<std::string> unsent;  // notifications of a batch whose fate is not known
  bool lost = false;

  async::Event wake;     // something waits, or the connection is lost
  async::Event drained;  // nothing waits
  std::atomic<bool> connected{false};
  std::atomic<std::uint64_t> published{0}, received{0}, notifications{0}, dropped{0}, too_large{0}, malformed{0},
      reconnects{0};

  Task<void> run();
  Task<void> serve(detail::Connection& connection);
  Task<void> send(detail::Connection& connection);
  [[nodiscard]] std::string take_batch();

  void on_connection_lost(detail::Connection&, const std::string& reason) noexcept override {
    log::warn("the backplane's connection to the database was lost", {{"reason", reason}});
    lost = true;
    wake.set();
  }
  void on_notification(std::int32_t, std::string_view, std::string_view payload) override {
    Deliver to;
    {
      const std::lock_guard lock(mutex);
      to = deliver;
    }
    const auto result = reader.take(payload, [&](std::string_view topic, std::string_view bytes) {
      received.fetch_add(1, std::memory_order_relaxed);
      if (to) to(topic, bytes);
    });
    if (result == detail::BatchReader::Result::malformed) malformed.fetch_add(1, std::memory_order_relaxed);
  }
};

NotifyBackplane::NotifyBackplane(Db& db, BackplaneOptions options)
    : impl_(std::make_unique<Impl>(db, std::move(options))) {
  const std::string& channel = impl_->options.channel;
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  if (channel.empty() || channel.size() > 63 || !std::ranges::all_of(channel, fits)) {
    throw Invalid(fmt::format("'{}' cannot be a backplane's channel: 1 to 63 of a-z, 0-9 and _", channel));
  }
}

NotifyBackplane::~NotifyBackplane() = default;

void NotifyBackplane::deliver_to(Deliver deliver) {
  const std::lock_guard lock(impl_->mutex);
  impl_->deliver = std::move(deliver);
}

bool NotifyBackplane::publish(std::string_view topic, std::string_view payload) {
  Impl& impl = *impl_;
  const std::size_t size = topic.size() + payload.size();
  if (size > impl.options.max_message) {
    impl.too_large.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  {
    const std::lock_guard lock(impl.mutex);
    if (impl.pending.size() + size > impl.options.max_pending) {
      impl.dropped.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    detail::BatchWriter::add(impl.pending, topic, payload);
    impl.borders.push_back(impl.pending.size());
    impl.drained.reset();
  }
  impl.published.fetch_add(1, std::memory_order_relaxed);
  impl.wake.set();
  return true;
}

BackplaneStats NotifyBackplane::stats() const {
  const Impl& impl = *impl_;
  const auto read = [](const std::atomic<std::uint64_t>& number) { return number.load(std::memory_order_relaxed); };
  BackplaneStats stats{.published = read(impl.published),
                       .received = read(impl.received),
                       .notifications = read(impl.notifications),
                       .dropped = read(impl.dropped),
                       .too_large = read(impl.too_large),
                       .malformed = read(impl.malformed),
                       .reconnects = read(impl.reconnects),
                       .connected = impl.connected.load(std::memory_order_relaxed)};
  const std::lock_guard lock(impl.mutex);
  stats.pending_bytes = impl.pending.size();
  return stats;
}

// ------------------------------------------------------------------------------------------------------- on its loop

Task<void> NotifyBackplane::start_loop(async::Loop& loop) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->home != nullptr) co_return;
    impl_->home = &loop;
    if (impl_->pending.empty()) impl_->drained.set();
  }
  impl_->background.start(impl_->run());
}

Task<void> NotifyBackplane::stop_loop(async::Loop& loop) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->home != &loop) co_return;
  }
  try {
    co_await async::timeout(1s, [](async::Event& drained) -> Task<void> { co_await drained.wait(); }(impl_->drained));
  } catch (const DeadlineExceeded&) {
    log::warn("what waited for the backplane was not sent before the stop");
  }
  co_await impl_->background.stop();
  const std::lock_guard lock(impl_->mutex);
  impl_->home = nullptr;
}

Task<void> NotifyBackplane::Impl::run() {
  auto pause = 50ms;
  for (bool first = true;; first = false) {
    if (!first) reconnects.fetch_add(1, std::memory_order_relaxed);
    lost = false;
    detail::Connection connection(async::Loop::current(), db.config_, background, this);
    bool failed = false;
    try {
      co_await connection.open();
      co_await detail::TextQuery(connection, "listen " + options.channel);
      connected = true;
      pause = 50ms;
      co_await serve(connection);
    } catch (const Cancelled&) {
      connected = false;
      throw;
    } catch (const std::exception& error) {
      failed = true;
      log::warn("the backplane has no connection to the database", {{"error.message", std::string_view(error.what())}});
    }
    connected = false;
    connection.close();
    co_await async::sleep(failed ? pause : 50ms);
    if (failed) pause = std::min<std::chrono::milliseconds>(pause * 2, 2000ms);
  }
}

// Until the connection is lost.
Task<void> NotifyBackplane::Impl::serve(detail::Connection& connection) {
  while (!lost) {
    if (!unsent.empty()) co_await send(connection);  // of the connection before; who has them already ignores them
    co_await wake.wait();
    if (lost) co_return;
    co_await async::sleep(options.debounce);
    while (!lost) {
      wake.reset();
      const std::string batch = take_batch();
      if (batch.empty()) break;
      unsent = writer.pack(batch);
      co_await send(connection);
    }
  }
}

Task<void> NotifyBackplane::Impl::send(detail::Connection& connection) {
  std::string sql = "select ";
  for (const std::string& one : unsent) {
    if (sql.size() > 7) sql += ", ";
    sql += fmt::format("pg_notify('{}', '{}')", options.channel, one);
  }
  co_await detail::TextQuery(connection, sql);
  notifications.fetch_add(unsent.size(), std::memory_order_relaxed);
  unsent.clear();
  const std::lock_guard lock(mutex);
  if (pending.empty()) drained.set();
}

// As many messages as travel together, at least one.
std::string NotifyBackplane::Impl::take_batch() {
  const std::lock_guard lock(mutex);
  if (pending.empty()) {
    drained.set();
    return {};
  }
  const auto end = std::ranges::upper_bound(borders, kMostBatch);
  const std::size_t count = std::max<std::ptrdiff_t>(1, end - borders.begin());
  const std::size_t size = borders[count - 1];
  std::string batch = pending.substr(0, size);
  pending.erase(0, size);
  borders.erase(borders.begin(), borders.begin() + static_cast<std::ptrdiff_t>(count));
  for (std::size_t& border : borders) border -= size;
  return batch;
}

}  // namespace ashlar::pg
