#include "runtime/batch.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

namespace espalier::runtime {
namespace {

struct Outcome {
  Execution execution;
  Comparison comparison;
};

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
    if (options.check || observe) golden_ = std::make_unique<golden::Runner>(program.graph);
  }

  Result<BatchResult> run() {
    std::size_t jobs = static_cast<std::size_t>(std::max(options_.jobs, 1));
    if (options_.jobs == 0 && options_.kind == DeviceKind::kGolden) {
      jobs = std::max(1U, std::thread::hardware_concurrency());
    }
    jobs = std::clamp<std::size_t>(jobs, 1, std::max<std::size_t>(count_, 1));
    DeviceOptions device = options_.device;
    device.keep_tensors = device.keep_tensors || options_.check;
    auto devices = open(program_, options_.kind, device, static_cast<int>(jobs));
    if (!devices) return devices.error();
    {
      std::vector<std::jthread> others;
      for (std::size_t i = 1; i < jobs; ++i) {
        others.emplace_back([this, &devices, i, jobs] { work(*(*devices)[i], i, jobs); });
      }
      work(*(*devices)[0], 0, jobs);
    }
    if (!error_) return error_.error();
    return gather();
  }

 private:
  void work(Device& device, std::size_t index, std::size_t jobs) {
    const std::size_t group = device.batch();
    for (std::size_t first = index * group; first < count_ && !failed_; first += jobs * group) {
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
    auto executions = device.run(input);
    if (!executions) return executions.error();
    const std::size_t size = input.size() / images;
    for (std::size_t i = 0; i < images; ++i) {
      Outcome& outcome = outcomes_[first + i];
      outcome.execution = std::move((*executions)[i]);
      if (golden_ == nullptr) continue;
      const auto tensors = golden_->run(std::span(input).subspan(i * size, size));
      if (options_.check) {
        outcome.comparison = compare(program_, outcome.execution, tensors, first + i);
        outcome.execution.stored.clear();
      }
      if (!observe_) continue;
      if (Status status = observe_(first + i, tensors); !status) return status;
    }
    const std::lock_guard lock(mutex_);
    done_ += images;
    if (progress_) progress_(done_);
    return {};
  }

  BatchResult gather() {
    BatchResult result;
    for (Outcome& outcome : outcomes_) {
      Execution& execution = outcome.execution;
      result.outputs.push_back(std::move(execution.output));
      result.comparison.merge(outcome.comparison);
      if (execution.timing) {
        if (!result.timing) result.timing.emplace().cycles_by_layer.resize(program_.layers.size());
        result.timing->cycles += execution.timing->cycles;
        result.timing->cpu_seconds += execution.timing->cpu_seconds;
        for (std::size_t l = 0; l < program_.layers.size(); ++l) {
          result.timing->cycles_by_layer[l] += execution.timing->cycles_by_layer[l];
        }
        for (std::size_t c = 0; c < isa::kCounters; ++c) {
          result.timing->counters[c] += execution.timing->counters[c];
        }
      }
      if (execution.traffic) {
        if (!result.traffic) result.traffic.emplace();
        result.traffic->read += execution.traffic->read;
        result.traffic->written += execution.traffic->written;
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
  std::unique_ptr<golden::Runner> golden_;
  std::vector<Outcome> outcomes_;
  std::mutex mutex_;
  std::atomic<bool> failed_{false};
  Status error_;
  std::size_t error_at_ = 0;
  std::size_t done_ = 0;
};

}  // namespace

Result<BatchResult> run_batch(const program::Program& program, const BatchOptions& options,
                              std::size_t count, const LoadImage& load, const Progress& progress,
                              const Observe& observe) {
  return Batch(program, options, count, load, progress, observe).run();
}

}  // namespace espalier::runtime
