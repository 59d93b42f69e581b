// Backplane: carries messages between the processes of a service, wherever they run. Best effort, as a broadcast is.
#pragma once

#include <functional>
#include <string_view>

namespace ashlar::async {

class Backplane {
 public:
  virtual ~Backplane() = default;

  /// What others have published, in the order of each of them, each once; never what came from this object. On a thread
  /// of the implementation's choice; must not wait or throw.
  using Deliver = std::function<void(std::string_view topic, std::string_view payload)>;
  /// Who is told. Before the program serves; an empty function: nobody any more.
  virtual void deliver_to(Deliver deliver) = 0;

  /// Hands bytes over to be sent, and does not wait. From any thread. False: it is too large, or too much waits
  /// already; the implementation counts it.
  [[nodiscard]] virtual bool publish(std::string_view topic, std::string_view payload) = 0;
};

}  // namespace ashlar::async
