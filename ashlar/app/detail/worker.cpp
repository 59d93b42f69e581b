#include <ashlar/app/detail/worker.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>

#include <charconv>

#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::detail {
namespace {

template <class T>
T number(std::string_view word) {
  T value{};
  std::from_chars(word.data(), word.data() + word.size(), value);
  return value;
}

}  // namespace

std::string_view exposition_word(metrics::Exposition exposition) noexcept {
  return exposition == metrics::Exposition::openmetrics ? "openmetrics" : "prometheus";
}
metrics::Exposition exposition_of(std::string_view word) noexcept {
  return word == "openmetrics" ? metrics::Exposition::openmetrics : metrics::Exposition::prometheus;
}

Worker::Worker(HandOver hand_over, async::Runtime& runtime, http::Server& server, http::Server* redirect)
    : hand_over_(std::move(hand_over)),
      runtime_(runtime),
      server_(server),
      redirect_(redirect),
      addresses_(hand_over_.listening.size()),
      label_(std::to_string(hand_over_.slot)) {}

void Worker::connect() {
  WorkerLink::Receiver& self = *this;
  link_ = std::make_unique<WorkerLink>(runtime_.loop(0), std::move(hand_over_.control), self);
}

Task<void> Worker::forward_signals(async::Signals& signals) {
  for (;;) {
    if (co_await signals.next() == SIGTERM) link_->send("replace");
  }
}

Task<http::Waiting> Worker::asked_to_end(async::Signals& signals) {
  co_await async::race([](async::Event& end) -> Task<void> { co_await end.wait(); }(end_), forward_signals(signals));
  co_return waiting_;
}

Task<void> Worker::serve(async::Nanoseconds beat) {
  link_->send("ready");
  for (;;) {
    co_await async::sleep(beat);
    for (unsigned i = 0; i < runtime_.size(); ++i) {
      co_await async::run_on(runtime_.loop(i), []() -> Task<void> { co_return; }());
    }
    link_->send("beat");
  }
}

void Worker::begin_drain() noexcept { hand_over_.slots.clear(); }

void Worker::on_message(std::string_view text, net::Fd attached) noexcept {
  const auto word = take_word(text);
  if (word == "stop" || word == "retire") {
    waiting_ = word == "retire" ? http::Waiting::leave : http::Waiting::serve;
    end_.set();
  } else if (word == "cover") {
    cover(number<unsigned>(text));
  } else if (word == "uncover") {
    uncover(number<unsigned>(text));
  } else if (word == "expose") {
    const auto id = take_word(text);
    const net::Fd file = memory_file(expose(exposition_of(text)));
    if (file) link_->send(fmt::format("exposed {}", id), file.get());
  } else if (word == "gather" || word == "exposed") {
    const auto found = gatherings_.find(number<std::uint64_t>(take_word(text)));
    if (found == gatherings_.end()) return;  // too late
    Gathering& gathering = found->second;
    if (word == "gather") {
      gathering.expected = number<std::size_t>(text);
    } else {
      gathering.texts.push_back(read_memory_file(attached));
    }
    if (gathering.expected && gathering.texts.size() > *gathering.expected) gathering.complete.set();  // with our own
  }
}

void Worker::on_end() noexcept {
  orphaned_ = true;
  if (!end_.is_set()) {
    log::error("the supervisor is gone: this worker ends, too");
    end_.set();
  }
}

void Worker::cover(unsigned slot) {
  if (slot >= hand_over_.slots.size()) return;
  const auto& sockets = hand_over_.slots[slot];
  for (unsigned i = 0; i < sockets.size(); ++i) {
    net::Fd copy(::fcntl(sockets[i].fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) continue;  // out of descriptors: others cover, too
    async::Loop& loop = runtime_.loop(i % runtime_.size());
    http::Server& server = redirect_ != nullptr && sockets[i].address + 1 == addresses_ ? *redirect_ : server_;
    loop.post([&server, &loop, slot, fd = std::make_shared<net::Fd>(std::move(copy))] {
      try {
        server.cover(loop, slot, std::move(*fd));
      } catch (const std::exception& error) {  // others cover, too
        log::warn("the sockets of another worker are not covered", {{"slot", slot}, {"error", error}});
      }
    });
  }
}

void Worker::uncover(unsigned slot) {
  for (unsigned i = 0; i < runtime_.size(); ++i) {
    async::Loop& loop = runtime_.loop(i);
    loop.post([this, &loop, slot] {
      server_.uncover(loop, slot);
      if (redirect_ != nullptr) redirect_->uncover(loop, slot);
    });
  }
}

std::string Worker::expose(metrics::Exposition exposition) const {
  return metrics::default_registry().expose(exposition, {{"worker", label_}});
}

Task<std::string> Worker::gather_metrics(metrics::Exposition exposition) {
  return async::run_on(runtime_.loop(0), gather_here(exposition));
}

Task<std::string> Worker::gather_here(metrics::Exposition exposition) {
  const std::uint64_t id = ++next_gathering_;
  Gathering& gathering = gatherings_[id];
  gathering.texts.push_back(expose(exposition));
  if (link_->send(fmt::format("scrape {} {}", id, exposition_word(exposition)))) {
    try {
      co_await async::timeout(std::chrono::seconds{1}, [](async::Event& complete) -> Task<void> {
        co_await complete.wait();
      }(gathering.complete));
    } catch (const DeadlineExceeded&) {
      // some are stalled
    }
  }
  const auto texts = std::move(gathering.texts);
  gatherings_.erase(id);
  co_return metrics::merge_expositions(texts, exposition);
}

}  // namespace ashlar::detail
