// esp_weight_forms: words of every form, each with gaps or without, against what the page says of
// them.

#include <random>

#include "Vrtl_weight_forms.h"
#include "Vrtl_weight_forms_4.h"
#include "catch.hpp"
#include "seed.hpp"
#include "verilated_block.hpp"

namespace espalier::tests {
namespace {

using isa::LoadForm;
using Bytes = std::vector<std::uint8_t>;

/// What the ring and the indices beside it hold.
struct Word {
  Bytes weights, indices;
  bool operator==(const Word&) const = default;
};

Bytes plain_indices(std::size_t lanes) {
  Bytes out;
  for (std::size_t k = 0; k < lanes; ++k) out.push_back(static_cast<std::uint8_t>(k % 4));
  return out;
}

/// Of four weights those with bits, in the two slots: the lowest of 0 to 2, the highest of 1 to 3.
void select(const std::uint8_t* four, unsigned bits, Bytes& weights, Bytes& indices) {
  int low = 3, high = 0;
  for (int i = 2; i >= 0; --i)
    if ((bits >> i & 1U) != 0) low = i;
  for (int i = 1; i <= 3; ++i)
    if ((bits >> i & 1U) != 0 && (i != low || i == 3)) high = i;
  weights.push_back(low == 3 ? 0 : four[low]);
  weights.push_back(high == 0 ? 0 : four[high]);
  indices.push_back(static_cast<std::uint8_t>(low));
  indices.push_back(static_cast<std::uint8_t>(high));
}

template <typename Model, std::size_t Lanes>
class Tester {
 public:
  explicit Tester(std::uint64_t seed) : random_(seed) {
    block_->clear_i = block_->word_valid_i = block_->word_last_i = 0;
    block_.reset();
  }

  /// One LOAD of so many words; with `bits` those of bits before it.
  void load(LoadForm form, std::size_t words) {
    for (std::size_t w = 0; w < words; ++w) {
      Bytes word(Lanes);
      for (auto& byte : word) byte = static_cast<std::uint8_t>(random_());
      expect(form, word);
      give(form, word, w + 1 == words);
    }
  }

  void check_all() {
    CHECK(expected_.empty());
    CHECK(made > 0);
    CHECK(block_->dropped_o % 128 == left_out_ % 128);
  }
  std::mt19937_64& random() { return random_; }
  std::size_t made = 0;

 private:
  void expect(LoadForm form, const Bytes& word) {
    switch (form) {
      case LoadForm::kPlain:
        expected_.push_back({word, plain_indices(Lanes)});
        return;
      case LoadForm::kIndexed:
        if (indices_.empty()) {
          for (std::size_t i = 0; i < 4 * Lanes; ++i)
            indices_.push_back(word[i / 4] >> (i % 4 * 2) & 3U);
          ++left_out_;
          return;
        }
        expected_.push_back({word, Bytes(indices_.begin(), indices_.begin() + Lanes)});
        indices_.erase(indices_.begin(), indices_.begin() + Lanes);
        return;
      case LoadForm::kBits:
        if (!of_bits_) bits_.clear();
        of_bits_ = true;
        for (std::size_t i = 0; i < 8 * Lanes; ++i)
          bits_.push_back((word[i / 8] >> (i % 8) & 1U) != 0);
        ++left_out_;
        return;
      case LoadForm::kMasked: {
        Word masked{word, plain_indices(Lanes)};
        for (std::size_t k = 0; k < Lanes; ++k)
          if (!bits_[k]) masked.weights[k] = 0;
        expected_.push_back(masked);
        break;
      }
      case LoadForm::kSelected:
        pair_.insert(pair_.end(), word.begin(), word.end());
        for (std::size_t k = 0; k < Lanes; ++k) pair_bits_.push_back(bits_[k]);
        if (pair_.size() == Lanes) {
          ++left_out_;
          break;
        }
        Word selected;
        for (std::size_t k = 0; k < Lanes; k += 4) {
          for (const std::size_t at : {k, Lanes + k}) {
            unsigned four = 0;
            for (std::size_t i = 0; i < 4; ++i) four |= pair_bits_[at + i] ? 1U << i : 0U;
            select(pair_.data() + at, four, selected.weights, selected.indices);
          }
        }
        expected_.push_back(selected);
        pair_.clear();
        pair_bits_.clear();
        break;
    }
    bits_.erase(bits_.begin(), bits_.begin() + Lanes);
    of_bits_ = false;
  }

  void give(LoadForm form, const Bytes& word, bool last) {
    while (random_() % 4 == 0) {  // nothing: whatever stands there
      block_->word_valid_i = 0;
      block_->word_form_i = random_() % 5;
      clock();
    }
    block_->word_valid_i = 1;
    block_->word_form_i = static_cast<std::uint8_t>(form);
    block_->word_last_i = last ? 1 : 0;
    std::memcpy(&block_->word_data_i, word.data(), Lanes);
    clock();
    block_->word_valid_i = 0;
  }

  void clock() {
    block_.settle();
    if (block_->word_valid_o != 0) {
      REQUIRE_FALSE(expected_.empty());
      Word word{Bytes(Lanes), {}};
      std::memcpy(word.weights.data(), &block_->word_data_o, Lanes);
      std::uint64_t indices = 0;
      std::memcpy(&indices, &block_->index_o, Lanes / 4);
      for (std::size_t k = 0; k < Lanes; ++k)
        word.indices.push_back(static_cast<std::uint8_t>(indices >> (2 * k) & 3U));
      REQUIRE(word == expected_.front());
      expected_.erase(expected_.begin());
      ++made;
    }
    block_.edge();
  }

  VerilatedBlock<Model> block_;
  std::mt19937_64 random_;
  std::vector<Word> expected_;
  Bytes indices_, pair_;
  std::vector<bool> bits_, pair_bits_;
  bool of_bits_ = false;
  std::uint64_t left_out_ = 0;
};

template <typename Model, std::size_t Lanes>
void run_forms(std::uint64_t seed) {
  INFO("ESPALIER_SEED " << seed);
  Tester<Model, Lanes> tester(seed);
  for (int i = 0; i < 400; ++i) {
    const auto n = tester.random()() % 40 + 1;
    switch (tester.random()() % 4) {
      case 0:
        tester.load(LoadForm::kPlain, n);
        break;
      case 1:
        tester.load(LoadForm::kIndexed, 5 * n);
        break;
      default: {
        // One LOAD of bits, and its words in two: pairs may part there.
        const bool all = tester.random()() % 8 == 0;
        const std::size_t bits = all ? isa::kBitWords : (n + 7) / 8;
        tester.load(LoadForm::kBits, bits);
        const LoadForm form = tester.random()() % 2 == 0 ? LoadForm::kMasked : LoadForm::kSelected;
        const std::size_t words = all ? 8 * bits : n + n % 2;
        if (words > 8 * bits) break;
        const std::size_t first = tester.random()() % words;
        if (first > 0) tester.load(form, first);
        tester.load(form, words - first);
      }
    }
  }
  tester.check_all();
}

}  // namespace

TEST_CASE("weight forms rtl: 16 lanes make of every form what the page says") {
  run_forms<Vrtl_weight_forms, 16>(seed(51));
}

TEST_CASE("weight forms rtl: 4 lanes, whose words have half a byte of bits") {
  run_forms<Vrtl_weight_forms_4, 4>(seed(52));
}

}  // namespace espalier::tests
