#include "iss/iss.hpp"

#include <algorithm>

#include "isa/maps.hpp"
#include "iss/squeeze.hpp"

namespace espalier::iss {

using isa::Engine;
using isa::Load;
using isa::LoadTarget;
using isa::Nop;
using isa::Store;
using isa::StoreSource;

Iss::Iss(const isa::Config& config, const Options& options)
    : config_(config),
      lanes_(static_cast<std::size_t>(config.lanes)),
      order_seed_(options.order_seed) {
  act_.resize(static_cast<std::size_t>(config.act_words) * lanes_);
  weights_.data.resize(static_cast<std::size_t>(config.weight_words) * lanes_);
  indices_.resize(weights_.data.size());
  for (std::size_t i = 0; i < indices_.size(); ++i) indices_[i] = static_cast<std::uint8_t>(i % 4);
  plain_.assign(indices_.begin(), indices_.begin() + static_cast<std::ptrdiff_t>(lanes_));
  params_.data.resize(static_cast<std::size_t>(config.param_blocks) * lanes_ * 8);
  for (auto& half : acc_) half.resize(static_cast<std::size_t>(config.acc_words) * lanes_);
  gap_sums_.resize(lanes_);
}

bool Iss::ready(std::size_t index) const {
  for (const isa::Dependency& d : isa::dependencies(program_[index])) {
    if (d.engine == Engine::kNone) continue;
    const auto behind =
        static_cast<std::uint16_t>(retired_[static_cast<std::size_t>(d.engine)] - d.count);
    if (behind >= 0x8000U) return false;
  }
  return true;
}

void Iss::retire(Engine engine) {
  const std::uint64_t count = ++retired_[static_cast<std::size_t>(engine)];
  if (*on_retire_) (*on_retire_)(engine, count);
}

void Iss::fault(isa::Fault cause, std::size_t index, const std::string& detail) {
  if (!status_.ok()) return;
  status_ =
      fail(ErrorCode::kDevice, std::string(isa::name(cause)) + ": " + detail,
           "instruction " + std::to_string(index) + " (" + isa::disassemble(program_[index]) + ")");
}

template <typename Transfer>
std::uint64_t Iss::address(const Transfer& t, std::uint64_t word) const {
  const std::uint64_t x = word % t.x_words, row = word / t.x_words;
  return std::uint64_t{t.offset} + row / t.y_count * t.z_stride + row % t.y_count * t.y_stride +
         x * lanes_;
}

template <typename Transfer>
bool Iss::inside(const Transfer& t) const {
  const std::uint64_t end = std::uint64_t{t.offset} + std::uint64_t{t.z_count - 1} * t.z_stride +
                            std::uint64_t{t.y_count - 1} * t.y_stride +
                            std::uint64_t{t.x_words} * lanes_;
  return end <= (*regions_)[t.region].size();
}

const std::int8_t* Iss::act_word(std::uint64_t word) const {
  return act_.data() + word % static_cast<std::uint64_t>(config_.act_words) * lanes_;
}

bool Iss::step_nop(Engine engine) {
  auto& q = queue(engine);
  if (q.empty() || !std::holds_alternative<Nop>(program_[q.front()]) || !ready(q.front()))
    return false;
  q.pop_front();
  retire(engine);
  return true;
}

bool Iss::check_no_pool(std::size_t index) {
  const isa::Instruction& any = program_[index];
  const Load* load = std::get_if<Load>(&any);
  const Store* store = std::get_if<Store>(&any);
  const Nop* nop = std::get_if<Nop>(&any);
  if (std::holds_alternative<isa::Pool>(any)) {
    fault(isa::Fault::kIllegalOpcode, index, "the configuration has no pool");
  } else if ((load != nullptr &&
              load->target == static_cast<std::uint32_t>(LoadTarget::kPoolTable)) ||
             (store != nullptr &&
              store->source == static_cast<std::uint32_t>(StoreSource::kPool)) ||
             (nop != nullptr && nop->engine == static_cast<std::uint32_t>(Engine::kPool))) {
    fault(isa::Fault::kIllegalField, index, "the configuration has no pool");
  }
  return status_.ok();
}

bool Iss::step_fetch() {
  if (ended_) return false;
  if (fetched_ == program_.size()) {
    status_ = fail(ErrorCode::kDevice, "program_end: the program has no end");
    return false;
  }
  if (const std::string trouble = isa::contradiction_in(program_[fetched_]); !trouble.empty()) {
    fault(isa::Fault::kIllegalField, fetched_, trouble);
    return false;
  }
  if (const std::string trouble = isa::fine_trouble(program_[fetched_], config_);
      !trouble.empty()) {
    fault(isa::Fault::kIllegalField, fetched_, trouble);
    return false;
  }
  const Engine engine = isa::queue_of(program_[fetched_]);
  if (config_.pool_lanes == 0 && !check_no_pool(fetched_)) return false;
  if (engine == Engine::kNone) {
    const bool idle =
        post_.empty() && squeezed_.empty() && streams_[0].empty() && streams_[1].empty() &&
        std::all_of(queues_.begin(), queues_.end(), [](const auto& q) { return q.empty(); });
    ended_ = idle;
    return idle;
  }
  auto& q = queue(engine);
  if (q.size() >= kQueueDepth[static_cast<std::size_t>(engine)] || !clip_next()) return false;
  if (const auto* conv = std::get_if<isa::Conv>(&program_[fetched_]); conv != nullptr) {
    if (const std::string trouble = isa::ring_trouble(*conv, config_); !trouble.empty()) {
      fault(isa::Fault::kCapacity, fetched_, trouble);
      return false;
    }
  }
  const auto* load = std::get_if<Load>(&program_[fetched_]);
  if (load != nullptr && static_cast<LoadTarget>(load->target) == LoadTarget::kLayerTable) {
    tables_due_.push_back(load->layer);
  }
  q.push_back(fetched_++);
  return true;
}

bool Iss::clip_next() {
  isa::Instruction& instruction = program_[fetched_];
  if (isa::clip_of(instruction) == nullptr) return true;
  const std::uint32_t layer = isa::layer(instruction);
  if (tables_due_.size() > 1 || (!tables_due_.empty() && tables_due_.front() <= layer))
    return false;
  if (config_.mask_layers == 0) {
    fault(isa::Fault::kIllegalLength, fetched_, "the configuration has no layer table");
    return false;
  }
  const auto row =
      isa::decode_row(layer_table_, layer % static_cast<std::uint32_t>(config_.mask_layers));
  if (!row) {
    fault(isa::Fault::kIllegalField, fetched_, row.error().text());
    return false;
  }
  instruction = isa::clip(instruction, *row, config_, clip_state_);
  return true;
}

bool Iss::load_table(const Load& load, std::size_t index) {
  const auto& region = (*regions_)[load.region];
  const std::uint64_t words = std::uint64_t{load.x_words} * load.y_count * load.z_count;
  const std::uint64_t room = config_.mask_layers == 0 ? 0 : isa::table_words(config_);
  if (load.sram_address + words > room) {
    fault(isa::Fault::kCapacity, index,
          "the layer table and its bit maps have " + std::to_string(room) + " words");
    return false;
  }
  layer_table_.resize(std::max(layer_table_.size(), (load.sram_address + words) * lanes_));
  for (std::uint64_t word = 0; word < words; ++word) {
    std::copy_n(region.data() + address(load, word), lanes_,
                layer_table_.data() + (load.sram_address + word) * lanes_);
  }
  tables_due_.pop_front();
  queue(Engine::kLoadW).pop_front();
  retire(Engine::kLoadW);
  return true;
}

bool Iss::load_squeezer(const Load& load, std::size_t index) {
  const auto refuse = [&](const Diagnostic& error) {
    fault(isa::Fault::kIllegalField, index, error.message);
    return false;
  };
  const auto maps = [&](std::uint32_t word) {
    const std::size_t from = std::min(word * lanes_, layer_table_.size());
    const std::size_t most = isa::kMaps * isa::kMapBytes;
    const auto rest = std::span<const std::uint8_t>(layer_table_).subspan(from);
    return isa::read_maps(rest.first(std::min(rest.size(), most)), lanes_);
  };
  const bool params = (load.sram_address & isa::kSqueezeParams) != 0;
  const auto side = maps(params ? isa::n_maps_word(config_) : isa::k_maps_word(config_));
  if (!side) return refuse(side.error());
  std::vector<std::uint8_t> bytes;
  const std::uint64_t words = std::uint64_t{load.x_words} * load.y_count * load.z_count;
  for (std::uint64_t word = 0; word < words; ++word) {
    const std::uint8_t* from = (*regions_)[load.region].data() + address(load, word);
    bytes.insert(bytes.end(), from, from + lanes_);
  }
  const auto out = params ? squeeze_params(bytes, *side)
                          : squeeze_rows(bytes, *side, load.sram_address & 0xFFU,
                                         (load.sram_address & isa::kSqueezeFill) != 0, segment_);
  if (!out) return refuse(out.error());
  squeezed_.insert(squeezed_.end(), out->begin(), out->end());
  queue(Engine::kLoadW).pop_front();
  retire(Engine::kLoadW);
  return true;
}

bool Iss::step_load_a() {
  if (step_nop(Engine::kLoadA)) return true;
  auto& q = queue(Engine::kLoadA);
  if (q.empty() || !ready(q.front()) || std::holds_alternative<Nop>(program_[q.front()]))
    return false;
  const Load& load = as<Load>(q.front());
  if (!inside(load)) {
    fault(isa::Fault::kReadWindow, q.front(), "outside its region");
    return false;
  }
  const auto& region = (*regions_)[load.region];
  const std::uint64_t words = std::uint64_t{load.x_words} * load.y_count * load.z_count;
  const bool table = static_cast<LoadTarget>(load.target) == LoadTarget::kPoolTable;
  for (std::uint64_t word = 0; word < words; ++word) {
    const std::uint8_t* from = region.data() + address(load, word);
    if (!table) {
      const std::uint64_t to =
          isa::act_address(load, word) % static_cast<std::uint64_t>(config_.act_words);
      std::copy_n(reinterpret_cast<const std::int8_t*>(from), lanes_, act_.data() + to * lanes_);
      continue;
    }
    for (std::size_t entry = 0; entry < lanes_ / 4; ++entry) {
      const std::uint64_t to = load.sram_address + word * (lanes_ / 4) + entry;
      if (to >= pool_table_.size()) {
        fault(isa::Fault::kCapacity, q.front(), "pool table has 128 entries");
        return false;
      }
      std::copy_n(from + entry * 4, 4, reinterpret_cast<std::uint8_t*>(&pool_table_[to]));
    }
  }
  q.pop_front();
  retire(Engine::kLoadA);
  return true;
}

bool Iss::step_load_w() {
  if (step_nop(Engine::kLoadW)) return true;
  auto& q = queue(Engine::kLoadW);
  if (q.empty() || !ready(q.front()) || std::holds_alternative<Nop>(program_[q.front()]))
    return false;
  const Load& load = as<Load>(q.front());
  if (!inside(load)) {
    fault(isa::Fault::kReadWindow, q.front(), "outside its region");
    return false;
  }
  if (static_cast<LoadTarget>(load.target) == LoadTarget::kLayerTable) {
    return load_table(load, q.front());
  }
  if (static_cast<LoadTarget>(load.target) == LoadTarget::kSqueezer) {
    return load_squeezer(load, q.front());
  }
  Ring& ring = static_cast<LoadTarget>(load.target) == LoadTarget::kWeights ? weights_ : params_;
  const auto& region = (*regions_)[load.region];
  const std::uint64_t words = std::uint64_t{load.x_words} * load.y_count * load.z_count;
  bool moved = false;
  const auto form = static_cast<isa::LoadForm>(load.form);
  if (load_w_word_ == 0 && form == isa::LoadForm::kBits) {
    bits_.clear();
    next_bits_ = 0;
  }
  if (load_w_word_ == 0 && isa::uses_bits(load) && next_bits_ + words * lanes_ > 8 * bits_.size()) {
    fault(isa::Fault::kIllegalField, q.front(),
          std::to_string(words) + " words want bits; the LOADs of bits before have left " +
              std::to_string((8 * bits_.size() - next_bits_) / lanes_));
    return false;
  }
  for (; load_w_word_ < words && ring.room() >= lanes_; ++load_w_word_, moved = true) {
    if (&ring == &weights_) {
      push_weights(region.data() + address(load, load_w_word_), form);
      continue;
    }
    std::copy_n(region.data() + address(load, load_w_word_), lanes_,
                ring.data.data() + ring.loaded % ring.data.size());
    ring.loaded += lanes_;
  }
  if (load_w_word_ == words) {
    load_w_word_ = 0;
    q.pop_front();
    retire(Engine::kLoadW);
    return true;
  }
  return moved;
}

void Iss::push_ring(std::span<const std::uint8_t> word, std::span<const std::uint8_t> indices) {
  const std::size_t at = weights_.loaded % weights_.data.size();
  std::ranges::copy(word, weights_.data.begin() + static_cast<std::ptrdiff_t>(at));
  std::ranges::copy(indices, indices_.begin() + static_cast<std::ptrdiff_t>(at));
  weights_.loaded += lanes_;
}

void Iss::select(const std::uint8_t* word, std::vector<std::uint8_t>& two,
                 std::vector<std::uint8_t>& indices) const {
  constexpr std::size_t kFour = 4;
  two.clear();
  indices.clear();
  for (std::size_t k = 0; k < lanes_; k += kFour) {
    const auto stays = [&](std::size_t i) { return bit(k + i); };
    // The lowest of 0 to 2, the highest of 1 to 3 if it is another; none: index 3, index 0.
    std::size_t low = 0, high = kFour - 1;
    while (low < kFour - 1 && !stays(low)) ++low;
    while (high > 0 && (!stays(high) || high == low)) --high;
    if (low == kFour - 1) high = stays(kFour - 1) ? kFour - 1 : 0;
    two.push_back(low == kFour - 1 ? 0 : word[k + low]);
    two.push_back(high == 0 ? 0 : word[k + high]);
    indices.push_back(static_cast<std::uint8_t>(low));
    indices.push_back(static_cast<std::uint8_t>(high));
  }
}

void Iss::push_weights(const std::uint8_t* word, isa::LoadForm form) {
  switch (form) {
    case isa::LoadForm::kPlain:
      push_ring({word, lanes_}, plain_);
      return;
    case isa::LoadForm::kIndexed: {
      if (next_indices_.empty()) {
        next_indices_.assign(word, word + lanes_);  // 2 bits each, of the next word lowest
        return;
      }
      std::vector<std::uint8_t> own(lanes_);
      for (std::size_t k = 0; k < lanes_; ++k) own[k] = next_indices_[k / 4] >> (k % 4 * 2) & 3U;
      push_ring({word, lanes_}, own);
      next_indices_.erase(next_indices_.begin(),
                          next_indices_.begin() + static_cast<std::ptrdiff_t>(lanes_ / 4));
      return;
    }
    case isa::LoadForm::kBits:
      bits_.insert(bits_.end(), word, word + lanes_);
      return;
    case isa::LoadForm::kMasked: {
      std::vector<std::uint8_t> left(word, word + lanes_);
      for (std::size_t k = 0; k < lanes_; ++k)
        if (!bit(k)) left[k] = 0;
      push_ring(left, plain_);
      break;
    }
    case isa::LoadForm::kSelected: {
      if (first_two_.empty()) {
        select(word, first_two_, first_index_);
        break;
      }
      std::vector<std::uint8_t> two, index, out, indices;
      select(word, two, index);
      for (std::size_t k = 0; k < two.size(); k += 2) {
        out.insert(out.end(), {first_two_[k], first_two_[k + 1], two[k], two[k + 1]});
        indices.insert(indices.end(),
                       {first_index_[k], first_index_[k + 1], index[k], index[k + 1]});
      }
      push_ring(out, indices);
      first_two_.clear();
      break;
    }
  }
  next_bits_ += lanes_;
}

bool Iss::step_store() {
  if (step_nop(Engine::kStore)) return true;
  auto& q = queue(Engine::kStore);
  if (q.empty() || !ready(q.front()) || std::holds_alternative<Nop>(program_[q.front()]))
    return false;
  const Store& store = as<Store>(q.front());
  auto& stream = streams_[store.source];
  const std::uint64_t words = std::uint64_t{store.x_words} * store.y_count * store.z_count;
  if (stream.empty()) {
    // The squeezer's words have no ends: a STORE takes as many as it stores.
    if (static_cast<StoreSource>(store.source) != StoreSource::kPool ||
        squeezed_.size() < words * lanes_)
      return false;
    stream.emplace_back(squeezed_.begin(),
                        squeezed_.begin() + static_cast<std::ptrdiff_t>(words * lanes_));
    squeezed_.erase(squeezed_.begin(),
                    squeezed_.begin() + static_cast<std::ptrdiff_t>(words * lanes_));
  }
  if (words * lanes_ != stream.front().size()) {
    fault(isa::Fault::kIllegalField, q.front(),
          "stores " + std::to_string(words) + " words of " +
              std::to_string(stream.front().size() / lanes_));
    return false;
  }
  if (!inside(store)) {
    fault(isa::Fault::kWriteWindow, q.front(), "outside its region");
    return false;
  }
  for (std::uint64_t word = 0; word < words; ++word) {
    std::copy_n(reinterpret_cast<const std::uint8_t*>(stream.front().data()) + word * lanes_,
                lanes_, (*regions_)[store.region].data() + address(store, word));
  }
  stream.pop_front();
  q.pop_front();
  retire(Engine::kStore);
  return true;
}

bool Iss::store_ready(StoreSource source) const {
  const auto& q = queues_[static_cast<std::size_t>(Engine::kStore)];
  if (q.empty() || !ready(q.front())) return false;
  const Store* store = std::get_if<Store>(&program_[q.front()]);
  return store != nullptr && static_cast<StoreSource>(store->source) == source &&
         streams_[static_cast<std::size_t>(source)].empty();
}

std::string Iss::waiting() const {
  std::string text = "nothing can move";
  if (!squeezed_.empty()) {
    text += "; the squeezer has " + std::to_string(squeezed_.size() / lanes_) + " words left";
  }
  for (std::size_t engine = 1; engine < queues_.size(); ++engine) {
    if (queues_[engine].empty()) continue;
    const std::size_t index = queues_[engine].front();
    text += "; " + std::string(isa::name(static_cast<Engine>(engine))) + " holds instruction " +
            std::to_string(index) + " (" + isa::disassemble(program_[index]) + ")";
  }
  return text;
}

Status Iss::run(std::span<const isa::Instruction> program, Regions& regions,
                const RetireHook& on_retire) {
  *this = Iss(config_, Options{order_seed_});
  program_.assign(program.begin(), program.end());
  regions_ = &regions;
  on_retire_ = &on_retire;
  using Step = bool (Iss::*)();
  std::array<Step, 7> steps = {&Iss::step_store, &Iss::step_post,   &Iss::step_pool,
                               &Iss::step_exec,  &Iss::step_load_a, &Iss::step_load_w,
                               &Iss::step_fetch};
  std::mt19937_64 random(order_seed_);
  while (!ended_ && status_.ok()) {
    if (order_seed_ != 0) std::shuffle(steps.begin(), steps.end(), random);
    const bool moved =
        std::any_of(steps.begin(), steps.end(), [&](Step step) { return (this->*step)(); });
    if (!moved && !ended_ && status_.ok()) {
      return fail(ErrorCode::kDevice, "deadlock: " + waiting());
    }
  }
  return status_;
}

}  // namespace espalier::iss
