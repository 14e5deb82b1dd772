#pragma once
// The memory behind the machine's AXI4 port: fixed latencies, a beat a cycle each way, in order,
// with random stalls on every channel where asked for.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <random>
#include <vector>

#include "base/result.hpp"
#include "tb/simulation.hpp"

namespace espalier::tb {

inline constexpr std::uint32_t kMaxBeats = 16;
inline constexpr std::uint32_t kLineBytes = 4096;
inline constexpr std::uint8_t kOkay = 0, kSlaveError = 2;

/// Call `drive` before the clock edge, and after the machine has settled the functions of the
/// channels on which valid and ready meet; then `tick`. `Bus`: bytes of a beat.
template <std::uint32_t Bus>
class AxiMemory {
 public:
  explicit AxiMemory(const MemoryOptions& options)
      : options_(options),
        threshold_(static_cast<std::uint64_t>(options.stall * 0x1p32)),
        random_(options.seed) {}

  std::vector<std::uint8_t>& bytes() { return bytes_; }

  void reset() {
    reads_.clear();
    writes_.clear();
    answers_.clear();
    r_beat_ = w_beat_ = 0;
    r_valid_ = b_valid_ = false;
    w_error_ = false;
  }

  /// What the memory shows in this cycle. A valid that was shown stays until it is taken.
  void drive() {
    ar_ready_ = !stalls();
    aw_ready_ = !stalls();
    w_ready_ = !writes_.empty() && !stalls();
    r_valid_ = r_valid_ || (!reads_.empty() && reads_.front().due <= now_ && !stalls());
    b_valid_ = b_valid_ || (!answers_.empty() && answers_.front().due <= now_ && !stalls());
  }
  [[nodiscard]] bool ar_ready() const { return ar_ready_; }
  [[nodiscard]] bool aw_ready() const { return aw_ready_; }
  [[nodiscard]] bool w_ready() const { return w_ready_; }
  [[nodiscard]] bool r_valid() const { return r_valid_; }
  [[nodiscard]] bool b_valid() const { return b_valid_; }
  [[nodiscard]] bool r_last() const { return r_beat_ + 1 == reads_.front().beats; }
  [[nodiscard]] std::uint8_t b_response() const { return answers_.front().response; }
  [[nodiscard]] std::uint64_t r_address() const {
    return std::uint64_t{reads_.front().address} + std::uint64_t{r_beat_} * Bus;
  }
  /// Copies the beat and gives its response.
  std::uint8_t r_data(void* beat) const {
    const std::uint64_t at = r_address();
    if (at + Bus > bytes_.size()) {
      std::memset(beat, 0, Bus);
      return kSlaveError;
    }
    std::memcpy(beat, bytes_.data() + at, Bus);
    return kOkay;
  }

  void take_ar(std::uint32_t address, std::uint32_t beats) {
    check_burst(address, beats);
    reads_.push_back({address, beats, now_ + static_cast<std::uint64_t>(options_.read_latency)});
  }
  void take_r() {
    r_valid_ = false;
    if (++r_beat_ == reads_.front().beats) {
      reads_.pop_front();
      r_beat_ = 0;
    }
  }
  void take_aw(std::uint32_t address, std::uint32_t beats) {
    check_burst(address, beats);
    writes_.push_back({address, beats, 0});
  }
  void take_w(const void* beat, bool last) {
    const Burst& burst = writes_.front();
    const std::uint64_t at = std::uint64_t{burst.address} + std::uint64_t{w_beat_} * Bus;
    if (at + Bus > bytes_.size()) {
      w_error_ = true;
    } else {
      std::memcpy(bytes_.data() + at, beat, Bus);
    }
    ESP_CHECK(last == (++w_beat_ == burst.beats));
    if (last) {
      answers_.push_back({now_ + static_cast<std::uint64_t>(options_.write_latency),
                          w_error_ ? kSlaveError : kOkay});
      writes_.pop_front();
      w_beat_ = 0;
      w_error_ = false;
    }
  }
  void take_b() {
    b_valid_ = false;
    answers_.pop_front();
  }
  void tick() { ++now_; }

 private:
  struct Burst {
    std::uint32_t address, beats;
    std::uint64_t due;
  };
  struct Answer {
    std::uint64_t due;
    std::uint8_t response;
  };

  bool stalls() { return threshold_ != 0 && (random_() & 0xFFFFFFFFU) < threshold_; }
  static void check_burst(std::uint32_t address, std::uint32_t beats) {
    ESP_CHECK(beats >= 1 && beats <= kMaxBeats && address % Bus == 0);
    ESP_CHECK(address % kLineBytes + beats * Bus <= kLineBytes);
  }

  MemoryOptions options_;
  std::uint64_t threshold_;
  std::mt19937_64 random_;
  std::vector<std::uint8_t> bytes_;
  std::deque<Burst> reads_, writes_;
  std::deque<Answer> answers_;
  std::uint32_t r_beat_ = 0, w_beat_ = 0;
  std::uint64_t now_ = 0;
  bool r_valid_ = false, b_valid_ = false, w_error_ = false;
  bool ar_ready_ = false, aw_ready_ = false, w_ready_ = false;
};

}  // namespace espalier::tb
