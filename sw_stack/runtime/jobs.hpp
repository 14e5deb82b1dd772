#pragma once
// Work shared among child processes that send records back.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.hpp"

namespace espalier::runtime {

/// Sends one record to the parent.
using Send = std::function<void(std::span<const std::uint8_t> record)>;
/// What child `job` does; its error ends the batch.
using Work = std::function<Status(int job, const Send& send)>;
/// A record that came, in the parent. Errors end the batch.
using Receive = std::function<Status(std::span<const std::uint8_t> record)>;

/// Forks `jobs` processes and waits for them all; the caller has no other thread. An interrupt
/// (runtime/interrupt.hpp) is passed on to them.
/// Errors: kIo where processes or pipes cannot be had; kDevice where one dies; those of `work`,
/// of the first job in order, and of `receive`.
Status run_jobs(int jobs, const Work& work, const Receive& receive);

}  // namespace espalier::runtime
