#include <ashlar/app/rooms.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <ashlar/async/loop.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar {
namespace {

using Message = std::shared_ptr<const http::SharedMessage>;

constexpr char kText = 't';
constexpr char kBinary = 'b';

// So that a string_view finds a std::string without a copy.
struct Hash : std::hash<std::string_view> {
  using is_transparent = void;
};

}  // namespace

// One room on one loop.
struct Rooms::Room {
  std::string name;
  std::vector<Rooms::Membership*> members;
};

// What one loop has; touched there only, but for `pending`.
struct Rooms::Shard {
  Rooms* owner = nullptr;
  async::Loop* loop = nullptr;
  std::unordered_map<std::string, std::unique_ptr<Room>, Hash, std::equal_to<>> rooms;
  std::atomic<std::uint32_t> pending{0};
};

struct Rooms::Impl {
  RoomsOptions options;
  async::Backplane* backplane = nullptr;
  mutable std::mutex mutex;  // for these two: taken when somebody joins or leaves, and once a message
  std::unordered_map<async::Loop*, std::shared_ptr<Shard>> shards;
  std::unordered_map<std::string, std::map<Shard*, std::size_t>, Hash, std::equal_to<>> where;  // members by loop
  std::atomic<std::uint64_t> published{0};
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> delivered{0};
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<std::uint64_t> not_shared{0};

  void send(std::string_view room, const Message& message, const WebSocket* except);
  void deliver(Shard& shard, std::string_view room, const Message& message, const WebSocket* except);
  void publish(std::string_view room, std::string data, bool text, const WebSocket* except);
  void on_shared(std::string_view room, std::string_view payload) noexcept;
};

Rooms::Rooms(RoomsOptions options) : impl_(std::make_unique<Impl>()) { impl_->options = options; }

Rooms::Rooms(async::Backplane& backplane, RoomsOptions options) : Rooms(options) {
  impl_->backplane = &backplane;
  backplane.deliver_to(
      [impl = impl_.get()](std::string_view room, std::string_view payload) { impl->on_shared(room, payload); });
}

Rooms::~Rooms() {
  if (impl_->backplane != nullptr) impl_->backplane->deliver_to({});
}

// --------------------------------------------------------------------------------------------------------- membership

Rooms::Membership Rooms::join(std::string_view room, WebSocket& socket) {
  async::Loop& loop = async::Loop::current();
  Membership member;
  const std::lock_guard lock(impl_->mutex);
  auto& shard = impl_->shards[&loop];
  if (shard == nullptr) {
    shard = std::make_shared<Shard>();
    shard->owner = this;
    shard->loop = &loop;
  }
  auto found = shard->rooms.find(room);
  if (found == shard->rooms.end()) {
    found = shard->rooms.emplace(std::string(room), std::make_unique<Room>()).first;
    found->second->name = room;
  }
  auto at = impl_->where.find(room);
  if (at == impl_->where.end()) at = impl_->where.emplace(std::string(room), std::map<Shard*, std::size_t>{}).first;
  ++at->second[shard.get()];
  member.shard_ = shard.get();
  member.room_ = found->second.get();
  member.socket_ = &socket;
  member.at_ = member.room_->members.size();
  member.room_->members.push_back(&member);  // moved along: see the move constructor
  return member;
}

Rooms::Membership::Membership(Membership&& other) noexcept
    : shard_(std::exchange(other.shard_, nullptr)), room_(other.room_), socket_(other.socket_), at_(other.at_) {
  if (shard_ != nullptr) room_->members[at_] = this;
}

Rooms::Membership& Rooms::Membership::operator=(Membership&& other) noexcept {
  if (this == &other) return *this;
  leave();
  shard_ = std::exchange(other.shard_, nullptr);
  room_ = other.room_;
  socket_ = other.socket_;
  at_ = other.at_;
  if (shard_ != nullptr) room_->members[at_] = this;
  return *this;
}

Rooms::Membership::~Membership() { leave(); }

void Rooms::Membership::leave() noexcept {
  if (shard_ == nullptr) return;
  std::vector<Membership*>& members = room_->members;
  members[at_] = members.back();
  members[at_]->at_ = at_;
  members.pop_back();
  Impl& impl = *shard_->owner->impl_;
  const std::lock_guard lock(impl.mutex);
  const auto at = impl.where.find(room_->name);
  if (--at->second[shard_] == 0) {
    at->second.erase(shard_);
    if (at->second.empty()) impl.where.erase(at);
    shard_->rooms.erase(shard_->rooms.find(room_->name));
  }
  shard_ = nullptr;
}

// --------------------------------------------------------------------------------------------------------- publishing

void Rooms::Impl::deliver(Shard& shard, std::string_view room, const Message& message, const WebSocket* except) {
  const auto found = shard.rooms.find(room);
  if (found == shard.rooms.end()) return;
  std::uint64_t sent = 0;
  for (const Membership* member : found->second->members) {
    if (member->socket_ == except) continue;
    if (member->socket_->send_shared(message, options.slow_members)) ++sent;
  }
  delivered.fetch_add(sent, std::memory_order_relaxed);
}

// One post a loop that has members; each shares the one frame.
void Rooms::Impl::send(std::string_view room, const Message& message, const WebSocket* except) {
  std::shared_ptr<Shard> here;
  {
    // Loops with members run: their handlers hold the memberships, and leaving takes the lock.
    const std::lock_guard lock(mutex);
    const auto at = where.find(room);
    if (at == where.end()) return;
    for (const auto& [shard, count] : at->second) {
      const std::shared_ptr<Shard>& owned = shards.find(shard->loop)->second;
      if (shard->loop == async::Loop::current_or_null()) {
        here = owned;
        continue;
      }
      if (shard->pending.fetch_add(1, std::memory_order_relaxed) >= options.max_pending_per_loop) {
        shard->pending.fetch_sub(1, std::memory_order_relaxed);
        dropped.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
      shard->loop->post([this, owned, message, except, name = std::string(room)] {
        owned->pending.fetch_sub(1, std::memory_order_relaxed);
        try {
          deliver(*owned, name, message, except);
        } catch (const std::exception& error) {
          log::error("a message of a room could not be delivered", {{"error.message", std::string_view(error.what())}});
        }
      });
    }
  }
  if (here != nullptr) deliver(*here, room, message, except);
}

void Rooms::Impl::publish(std::string_view room, std::string data, bool text, const WebSocket* except) {
  std::string shared;
  if (backplane != nullptr) {
    shared.reserve(data.size() + 1);
    shared += text ? kText : kBinary;
    shared += data;
  }
  send(room, std::make_shared<const http::SharedMessage>(std::move(data), text, options.compression), except);
  published.fetch_add(1, std::memory_order_relaxed);
  if (backplane != nullptr && !backplane->publish(room, shared)) not_shared.fetch_add(1, std::memory_order_relaxed);
}

void Rooms::Impl::on_shared(std::string_view room, std::string_view payload) noexcept {
  try {
    if (payload.empty()) return;
    received.fetch_add(1, std::memory_order_relaxed);
    const bool text = payload.front() == kText;
    send(room, std::make_shared<const http::SharedMessage>(std::string(payload.substr(1)), text, options.compression),
         nullptr);
  } catch (const std::exception& error) {
    log::warn("a message from the backplane could not be delivered",
              {{"error.message", std::string_view(error.what())}});
  }
}

void Rooms::publish(std::string_view room, std::string text) { impl_->publish(room, std::move(text), true, nullptr); }

void Rooms::publish_binary(std::string_view room, std::string bytes) {
  impl_->publish(room, std::move(bytes), false, nullptr);
}

void Rooms::publish_except(const WebSocket& socket, std::string_view room, std::string text) {
  impl_->publish(room, std::move(text), true, &socket);
}

std::size_t Rooms::members(std::string_view room) const {
  const std::lock_guard lock(impl_->mutex);
  std::size_t count = 0;
  if (const auto at = impl_->where.find(room); at != impl_->where.end()) {
    for (const auto& [shard, members] : at->second) count += members;
  }
  return count;
}

RoomsStats Rooms::stats() const {
  RoomsStats stats;
  {
    const std::lock_guard lock(impl_->mutex);
    stats.rooms = impl_->where.size();
    for (const auto& [room, shards] : impl_->where) {
      for (const auto& [shard, members] : shards) stats.members += members;
    }
  }
  stats.published = impl_->published.load(std::memory_order_relaxed);
  stats.received = impl_->received.load(std::memory_order_relaxed);
  stats.delivered = impl_->delivered.load(std::memory_order_relaxed);
  stats.dropped = impl_->dropped.load(std::memory_order_relaxed);
  stats.not_shared = impl_->not_shared.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace ashlar
