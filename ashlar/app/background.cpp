#include <ashlar/app/background.hpp>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar {
// --------------------------------------------------------------------------------------------------------

namespace {

// A task with a context of its own, alive until it ends.
struct BackgroundWork final : detail::AfterAnswer, async::Completion {
  Task<void> task;
  async::Context context;
  async::CancelScope scope;
  detail::Core* core = nullptr;

  void on_complete(std::exception_ptr error) noexcept override {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const std::exception& exception) {
      log::error("background work failed",
                 {{"http.route", std::string_view(context.route == nullptr ? "" : context.route)},
                  {"error.message", std::string_view(exception.what())}});
    } catch (...) {
      log::error("background work failed");
    }
    detail::Core& owner = *core;
    delete this;
    if (owner.background_running.fetch_sub(1) == 1) owner.background_idle.set();
  }

  static void begin(detail::AfterAnswer* self, bool succeeded) noexcept {
    auto* work = static_cast<BackgroundWork*>(self);
    if (!succeeded) {
      work->drop();
      return;
    }
    work->core->background_running.fetch_add(1);
    const async::ContextGuard guard{&work->context};
    async::launch(std::move(work->task), *work);
  }

 private:
  void drop() noexcept {
    task.release().destroy();  // never awaited, on purpose
    delete this;
  }
};

}  // namespace

void Background::add(Task<void> task) {
  auto* work = new BackgroundWork;
  work->task = std::move(task);
  work->context = call_->exchange.context;
  work->context.deadline = async::TimePoint::max();
  work->context.scope = &work->scope;
  work->context.request_id = {};  // its bytes go with the request
  work->context.overrides = nullptr;
  work->core = &call_->core;
  work->run = &BackgroundWork::begin;
  call_->begin_later(*work);
}

}  // namespace ashlar
