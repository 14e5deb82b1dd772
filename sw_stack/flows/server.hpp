#pragma once
// Answers to a stream of images from one device, which may have another program each time.

#include <cstdint>
#include <span>
#include <vector>

#include "program/program.hpp"
#include "runtime/batch.hpp"

namespace espalier::flows {

class Server {
 public:
  /// `jobs`: threads of golden (0: every core), processes that simulate; a board is one machine.
  Server(runtime::DeviceKind kind, runtime::DeviceOptions device, int jobs);

  /// The outputs of images that lie one after the other, likewise. The device has the program for
  /// this call only. Errors: those of runtime::run_batch; kDevice where a signal cut it short.
  Result<std::vector<std::int8_t>> answer(const program::Program& program,
                                          std::span<const std::int8_t> inputs);

  [[nodiscard]] runtime::DeviceKind kind() const { return options_.kind; }
  /// What the device answered so far, and its cycles where it counts them.
  [[nodiscard]] std::size_t images() const { return images_; }
  [[nodiscard]] std::uint64_t cycles() const { return cycles_; }

 private:
  runtime::BatchOptions options_;
  std::size_t images_ = 0;
  std::uint64_t cycles_ = 0;
};

}  // namespace espalier::flows
