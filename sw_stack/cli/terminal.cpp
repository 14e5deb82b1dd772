#include "cli/terminal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "report/text.hpp"

namespace espalier::cli {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

ProgressBar::ProgressBar(std::string what)
    : what_(std::move(what)), visible_(isatty(STDERR_FILENO) != 0), start_(now()) {}

ProgressBar::~ProgressBar() {
  if (visible_ && drawn_ > 0) fmt::print(stderr, "\r\x1b[K");
}

void ProgressBar::show(std::uint64_t done, std::uint64_t total) {
  if (!visible_ || total == 0) return;
  const double time = now();
  if (time - drawn_ < 0.1 && done != total) return;
  drawn_ = time;
  constexpr std::uint64_t kWidth = 32;
  const auto filled = static_cast<std::size_t>(kWidth * std::min(done, total) / total);
  const double left =
      done == 0 ? 0
                : (time - start_) / static_cast<double>(done) * static_cast<double>(total - done);
  fmt::print(stderr, "\r\x1b[K{} [{}{}] {}/{}  {:.0f} s left", what_, std::string(filled, '#'),
             std::string(kWidth - filled, '.'), done, total, left);
  std::fflush(stderr);
}

flows::Listener Terminal::listener() {
  flows::Listener listener;
  listener.note = [](const std::string& text) {
    fmt::print(stderr, "espalier: {}\n", report::printable(text));
  };
  if (quiet_) return listener;
  listener.progress = [this](std::string_view what, std::size_t done, std::size_t total) {
    show(what, done, total);
  };
  return listener;
}

void Terminal::show(std::string_view what, std::uint64_t done, std::uint64_t total) {
  if (bar_ == nullptr || bar_->what() != what) {
    bar_.reset();
    bar_ = std::make_unique<ProgressBar>(std::string(what));
  }
  bar_->show(done, total);
}

}  // namespace espalier::cli
