#include "runtime/batch.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "runtime/interrupt.hpp"
#include "runtime/jobs.hpp"
#include "base/bytes.hpp"
#include "base/parallel.hpp"

namespace espalier::runtime {
namespace {

struct Outcome {
  bool run = false;
  Execution execution;
  Comparison comparison;
};

// An outcome on its way from another process. Stored tensors stay there.

void put_list(ByteWriter& out, std::span<const std::uint64_t> list) {
  out.put(static_cast<std::uint64_t>(list.size()));
  for (const std::uint64_t value : list) out.put(value);
}

std::vector<std::uint8_t> pack(std::size_t image, const Outcome& outcome) {
  ByteWriter out;
  out.put(static_cast<std::uint64_t>(image));
  const Execution& execution = outcome.execution;
  out.put(static_cast<std::uint8_t>(execution.complete));
  out.put_bytes(
      {reinterpret_cast<const std::uint8_t*>(execution.output.data()), execution.output.size()});
  out.put(static_cast<std::uint8_t>(execution.timing.has_value()));
  if (execution.timing) {
    out.put(execution.timing->cycles);
    out.put(execution.timing->cpu_seconds);
    out.put(execution.timing->seconds);
    put_list(out, execution.timing->cycles_by_layer);
    put_list(out, execution.timing->counters);
  }
  out.put(static_cast<std::uint8_t>(execution.traffic.has_value()));
  if (execution.traffic) {
    out.put(execution.traffic->read);
    out.put(execution.traffic->written);
  }
  out.put(outcome.comparison.values);
  out.put(outcome.comparison.mismatches);
  out.put(static_cast<std::uint8_t>(outcome.comparison.first.has_value()));
  if (const auto& first = outcome.comparison.first) {
    out.put_string(first->layer);
    out.put_string(first->tensor);
    for (const int value : {first->channel, first->y, first->x, first->device, first->golden})
      out.put(value);
  }
  return out.take();
}

std::size_t unpack(std::span<const std::uint8_t> record, Outcome& outcome) {
  ByteReader in(record);
  const auto image = static_cast<std::size_t>(in.get<std::uint64_t>());
  Execution& execution = outcome.execution;
  outcome.run = true;
  execution.complete = in.get<std::uint8_t>() != 0;
  const auto output = in.get_bytes();
  execution.output.assign(output.begin(), output.end());
  if (in.get<std::uint8_t>() != 0) {
    Timing& timing = execution.timing.emplace();
    timing.cycles = in.get<std::uint64_t>();
    timing.cpu_seconds = in.get<double>();
    timing.seconds = in.get<double>();
    timing.cycles_by_layer.resize(in.get_count(sizeof(std::uint64_t)));
    for (auto& cycles : timing.cycles_by_layer) cycles = in.get<std::uint64_t>();
    ESP_CHECK(in.get_count(sizeof(std::uint64_t)) == timing.counters.size());
    for (auto& counter : timing.counters) counter = in.get<std::uint64_t>();
  }
  if (in.get<std::uint8_t>() != 0) {
    Traffic& traffic = execution.traffic.emplace();
    traffic.read = in.get<std::uint64_t>();
    traffic.written = in.get<std::uint64_t>();
  }
  outcome.comparison.values = in.get<std::uint64_t>();
  outcome.comparison.mismatches = in.get<std::uint64_t>();
  if (in.get<std::uint8_t>() != 0) {
    Difference& first = outcome.comparison.first.emplace();
    first.image = image;
    first.layer = in.get_string();
    first.tensor = in.get_string();
    for (int* value : {&first.channel, &first.y, &first.x, &first.device, &first.golden})
      *value = in.get<int>();
  }
  ESP_CHECK(in.ok());
  return image;
}

class Batch {
 public:
  Batch(const program::Program& program, const BatchOptions& options, std::size_t count,
        const LoadImage& load, const Progress& progress, const Observe& observe)
      : program_(program),
        options_(options),
        count_(count),
        load_(load),
        progress_(progress),
        observe_(observe),
        outcomes_(count) {
    if (options.check || observe) {
      for (std::size_t m = 0; m < options.device.masks.size(); ++m)
        golden_.emplace_back(graph_of(program, options.device, m), options.device.masks[m]);
      if (golden_.empty()) golden_.emplace_back(program.graph);
    }
  }

  Result<BatchResult> run() {
    if (Status status = check_jobs(options_.kind, options_.jobs); !status) return status.error();
    const bool every_core = options_.jobs == 0 && options_.kind == DeviceKind::kGolden;
    const std::size_t jobs =
        thread_count(std::max<std::size_t>(count_, 1), every_core ? 0 : std::max(options_.jobs, 1));
    device_ = options_.device;
    device_.keep_tensors = device_.keep_tensors || options_.check;
    if (jobs > 1 && options_.kind != DeviceKind::kGolden && !observe_) {
      if (Status status = processes(jobs); !status) return status.error();
      return gather();
    }
    auto devices = open(program_, options_.kind, device_, static_cast<int>(jobs));
    if (!devices) return devices.error();
    for_each(jobs, static_cast<int>(jobs), [&](std::size_t i) {
      try {
        work(*(*devices)[i], i, jobs);
      } catch (...) {
        failed_ = true;  // the others need not go on
        throw;
      }
    });
    packings_ = (*devices)[0]->packings();
    if (!error_) return error_.error();
    if (jobs == 1) {
      if (Status status = time_switch(*(*devices)[0]); !status) return status.error();
    }
    return gather();
  }

 private:
  /// Runs the last image once more: with several masks it came behind another one's.
  Status time_switch(Device& device) {
    if (masks() < 2 || count_ < 2 || device_.stall > 0 || interrupted() != 0) return {};
    const Execution& last = outcomes_.back().execution;
    if (!last.complete || !last.timing) return {};
    const auto image = load_(count_ - 1);
    if (!image) return image.error();
    const auto again = device.run(*image);
    if (!again) return again.error();
    if (!again->front().complete) return {};
    switching_ = {last.timing->cycles, again->front().timing->cycles,
                  again->front().timing->layer_table};
    return {};
  }

  /// Images in groups as the device likes them, group i by process i modulo jobs, each with a
  /// device of its own.
  Status processes(std::size_t jobs) {
    const auto child = [this, jobs](int job, const Send& send) -> Status {
      quiet_ = true;
      DeviceOptions own = device_;
      own.seed += static_cast<std::uint64_t>(job);
      auto devices = open(program_, options_.kind, own);
      if (!devices) return devices.error();
      const std::size_t group = group_of(*(*devices)[0], jobs);
      for (std::size_t first = static_cast<std::size_t>(job) * group;
           first < count_ && interrupted() == 0; first += jobs * group) {
        const std::size_t images = std::min(group, count_ - first);
        if (Status status = run_group(*(*devices)[0], first, images); !status) return status;
        for (std::size_t i = first; i < first + images; ++i) {
          if (outcomes_[i].run) send(pack(i, outcomes_[i]));
        }
      }
      return {};
    };
    return run_jobs(static_cast<int>(jobs), child, [this](std::span<const std::uint8_t> record) {
      Outcome outcome;
      const std::size_t image = unpack(record, outcome);
      outcomes_[image] = std::move(outcome);
      if (progress_) progress_(++done_);
      return Status();
    });
  }

  /// As many images as the device likes at once, but work for everybody.
  [[nodiscard]] std::size_t group_of(const Device& device, std::size_t jobs) const {
    if (masks() > 1) return 1;  // the next image has another
    return std::clamp<std::size_t>((count_ + jobs - 1) / jobs, 1, device.batch());
  }

  [[nodiscard]] std::size_t masks() const { return options_.device.masks.size(); }

  void work(Device& device, std::size_t index, std::size_t jobs) {
    const std::size_t group = group_of(device, jobs);
    for (std::size_t first = index * group; first < count_ && !failed_ && interrupted() == 0;
         first += jobs * group) {
      const Status status = run_group(device, first, std::min(group, count_ - first));
      if (status) continue;
      const std::lock_guard lock(mutex_);
      failed_ = true;
      if (error_.ok() || first < error_at_) {
        error_ = status.error();
        error_at_ = first;
      }
    }
  }

  Status run_group(Device& device, std::size_t first, std::size_t images) {
    std::vector<std::int8_t> input;
    for (std::size_t i = first; i < first + images; ++i) {
      const auto image = load_(i);
      if (!image) return image.error();
      input.insert(input.end(), image->begin(), image->end());
    }
    if (masks() > 0) device.use(first % masks());
    auto executions = device.run(input, [this](std::size_t) {
      const std::lock_guard lock(mutex_);
      ++done_;
      if (progress_ && !quiet_) progress_(done_);
    });
    if (!executions) return executions.error();
    const std::size_t size = input.size() / images;
    for (std::size_t i = 0; i < images; ++i) {
      Outcome& outcome = outcomes_[first + i];
      outcome.execution = std::move((*executions)[i]);
      outcome.run = outcome.execution.complete || outcome.execution.timing.has_value();
      if (!outcome.run) continue;
      if (golden_.empty()) continue;
      const auto tensors =
          golden_[(first + i) % golden_.size()].run(std::span(input).subspan(i * size, size));
      if (options_.check) {
        outcome.comparison = compare(program_, outcome.execution, tensors, first + i);
        outcome.execution.stored.clear();
      }
      if (!observe_ || !outcome.execution.complete) continue;
      if (Status status = observe_(first + i, tensors); !status) return status;
    }
    return {};
  }

  BatchResult gather() {
    BatchResult result;
    result.packings = packings_;
    result.switching = switching_;
    result.interrupted = interrupted();
    for (std::size_t i = 0; i < outcomes_.size(); ++i) {
      Outcome& outcome = outcomes_[i];
      if (outcome.run) {
        result.add(i, std::move(outcome.execution), outcome.comparison);
      } else {
        result.outputs.emplace_back();
      }
    }
    return result;
  }

  const program::Program& program_;
  const BatchOptions& options_;
  std::size_t count_;
  const LoadImage& load_;
  const Progress& progress_;
  const Observe& observe_;
  DeviceOptions device_;
  std::vector<golden::Runner> golden_;  // by mask
  std::vector<Packing> packings_;
  std::optional<Switching> switching_;
  std::vector<Outcome> outcomes_;
  std::mutex mutex_;
  std::atomic<bool> failed_{false};
  Status error_;
  std::size_t error_at_ = 0;
  std::size_t done_ = 0;
  bool quiet_ = false;  // a child process: the parent tells
};

}  // namespace

Status check_jobs(DeviceKind kind, int jobs) {
  if (kind != DeviceKind::kFpga || jobs <= 1) return {};
  return fail(ErrorCode::kUsage, "is " + std::to_string(jobs) + "; a board is one machine",
              "--jobs");
}

void BatchResult::add(std::size_t image, Execution execution, const Comparison& compared) {
  if (!execution.complete) {
    outputs.emplace_back();
    partial.push_back({image, compared, std::move(execution.timing)});
    return;
  }
  ++images;
  outputs.push_back(std::move(execution.output));
  comparison.merge(compared);
  if (execution.timing) {
    const std::vector<std::uint64_t>& layers = execution.timing->cycles_by_layer;
    if (!timing) {
      timing.emplace().cycles_by_layer.resize(layers.size());
      timing->layer_table = execution.timing->layer_table;
    }
    timing->cycles += execution.timing->cycles;
    timing->cpu_seconds += execution.timing->cpu_seconds;
    timing->seconds += execution.timing->seconds;
    for (std::size_t l = 0; l < layers.size(); ++l) timing->cycles_by_layer[l] += layers[l];
    for (std::size_t c = 0; c < isa::kCounters; ++c)
      timing->counters[c] += execution.timing->counters[c];
  }
  if (execution.traffic) {
    if (!traffic) traffic.emplace();
    traffic->read += execution.traffic->read;
    traffic->written += execution.traffic->written;
  }
}

Result<BatchResult> run_batch(const program::Program& program, const BatchOptions& options,
                              std::size_t count, const LoadImage& load, const Progress& progress,
                              const Observe& observe) {
  return Batch(program, options, count, load, progress, observe).run();
}

}  // namespace espalier::runtime
