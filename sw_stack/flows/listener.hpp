#pragma once
// What a flow says while it works. Flows print nothing: they return what they did.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace espalier::flows {

struct Listener {
  /// Of something long, which `what` names: how much of it is done. Empty: nobody asks.
  std::function<void(std::string_view what, std::size_t done, std::size_t total)> progress;
  /// What a user should know at once, though it is no error. Empty: nobody asks.
  std::function<void(const std::string& text)> note;

  void show(std::string_view what, std::size_t done, std::size_t total) const {
    if (progress) progress(what, done, total);
  }
  void tell(const std::string& text) const {
    if (note) note(text);
  }
};

}  // namespace espalier::flows
