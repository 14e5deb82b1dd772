#include "compiler/weight_queue.hpp"

#include <algorithm>

#include "compiler/cost.hpp"

namespace espalier::compiler {
namespace {

constexpr std::int64_t kBurstWords = 16;
// Words of weights between two LOADs of bits.
constexpr std::uint32_t kSwitchedWords = isa::kBitWords * isa::kWordsOfBits;

}  // namespace

WeightQueue::WeightQueue(const isa::Config& config, const std::vector<Layer>& layers,
                         const Schedule& schedule, const Constants& constants, bool maskable,
                         const RingRoom& room)
    : config_(config),
      layers_(layers),
      schedule_(schedule),
      constants_(constants),
      maskable_(maskable),
      early_(room.hold == Hold::kFirst) {
  const auto set = [&](Ring& ring, int size, int used) {
    ring.size = used == 0 ? size : std::min(used, size);
    ring.held = !maskable && ring.size < size && room.hold != Hold::kOrder;
  };
  set(weights_, config.weight_words, room.weight_words);
  set(params_, config.param_blocks, room.param_blocks);
  for (const Layer& layer : layers) {
    const auto groups = layer.is_pool()
                            ? 0U
                            : static_cast<std::size_t>(ceil_div(layer.conv.nb, layer.conv_plan.nb));
    weight_at_.emplace_back(groups * layer.chunks.size(), 0);
    param_at_.emplace_back(groups, 0);
  }
}

std::int64_t& WeightQueue::weight_position(const Step& step) {
  const int chunks = static_cast<int>(at(layers_, step.layer).chunks.size());
  return at(at(weight_at_, step.layer), step.group * chunks + step.chunk);
}

std::int64_t& WeightQueue::param_position(const Step& step) {
  return at(at(param_at_, step.layer), step.group);
}

const Unit& WeightQueue::unit(const Layer& layer, const Step& step) const {
  return at(at(constants_.places, step.layer).units,
            step.group * static_cast<int>(layer.chunks.size()) + step.chunk);
}

std::int64_t WeightQueue::unit_words(const Layer& layer, const Step& step) const {
  if (!maskable_) return unit(layer, step).ring;
  const Chunk& chunk = at(layer.chunks, step.chunk);
  return std::int64_t{step.blocks.size()} * config_.lanes * chunk.taps() * chunk.kb.size();
}

std::int64_t WeightQueue::index_words(const Layer& layer, const Step& step) const {
  if (at(layer.chunks, step.chunk).second == Second::kNone) return 0;
  isa::Conv fine;
  fine.fine = 1;
  return config_.weight_words - static_cast<std::int64_t>(isa::ring_limit(fine, config_));
}

int WeightQueue::weight_loads(const Layer& layer, const Step& step) const {
  if (layer.conv.switched)
    return 2 *
           ceil_div(static_cast<int>(unit(layer, step).words), static_cast<int>(kSwitchedWords));
  return maskable_ && layer.conv_plan.tapwise ? at(layer.chunks, step.chunk).taps() : 1;
}

std::int64_t WeightQueue::load_words(const Layer& layer, const Step& step, int load) const {
  const std::int64_t words = unit_words(layer, step);
  if (!layer.conv.switched) return words / weight_loads(layer, step);
  if (load % 2 == 0) return 0;
  return static_cast<std::int64_t>(isa::ring_words(switched_load(layer, step, load)));
}

isa::Load WeightQueue::switched_load(const Layer& layer, const Step& step, int load) const {
  const Unit& run = unit(layer, step);
  const ConstantPlaces& places = at(constants_.places, step.layer);
  const auto lanes = static_cast<std::uint32_t>(config_.lanes);
  const std::uint32_t first = static_cast<std::uint32_t>(load / 2) * kSwitchedWords;
  const std::uint32_t words = std::min(kSwitchedWords, run.words - first);
  isa::Load out;
  out.target = static_cast<std::uint32_t>(isa::LoadTarget::kWeights);
  if (load % 2 == 0) {
    out.form = static_cast<std::uint32_t>(isa::LoadForm::kBits);
    out.region = static_cast<std::uint32_t>(isa::Region::kMask);
    out.offset = places.bits + (run.bits + bit_words(first)) * lanes;
    out.x_words = bit_words(words);
    return out;
  }
  out.form = static_cast<std::uint32_t>(at(layer.chunks, step.chunk).second == Second::kNone
                                            ? isa::LoadForm::kMasked
                                            : isa::LoadForm::kSelected);
  out.offset = places.weights + (run.offset + first) * lanes;
  out.x_words = words;
  return out;
}

isa::Load WeightQueue::unit_load(const Layer& layer, const Step& step, int tap) const {
  const Chunk& chunk = at(layer.chunks, step.chunk);
  const auto w = mask_weights(layer, at(constants_.places, step.layer));
  const int lanes = config_.lanes;
  const std::int64_t block = w.block_words(lanes, w.k_blocks);
  isa::Load load;
  load.target = static_cast<std::uint32_t>(isa::LoadTarget::kWeights);
  std::int64_t first = step.blocks.low * block + chunk.kb.low;
  if (w.tapwise) {
    const int ky = chunk.ky.low + tap / chunk.kx.size(), kx = chunk.kx.low + tap % chunk.kx.size();
    first += (std::int64_t{ky} * layer.conv.x.kernel + kx) * w.n_blocks * block;
  }
  load.offset = w.weights + static_cast<std::uint32_t>(first * lanes);
  load.z_count = static_cast<std::uint32_t>(step.blocks.size());
  load.z_stride = load.z_count > 1 ? static_cast<std::uint32_t>(block * lanes) : 0;
  load.clip = unit_clip(layer, step);
  load.clip->kc = static_cast<std::uint32_t>(chunk.kb.size());
  load.clip->nb = load.z_count;
  load.clip->cut = load.clip->need_k = load.clip->need_n = load.clip->image = 1;
  if (chunk.kb.size() == w.k_blocks) {
    load.clip->words = 1;
    load.x_words = static_cast<std::uint32_t>(block);
  } else {
    load.clip->rows = 1;
    load.x_words = static_cast<std::uint32_t>(chunk.kb.size());
    load.y_count = static_cast<std::uint32_t>(lanes * w.part_taps());
    load.y_stride = static_cast<std::uint32_t>(w.k_blocks * lanes);
  }
  return load;
}

isa::Load WeightQueue::weight_load(const Layer& layer, const Step& step) const {
  if (maskable_) return unit_load(layer, step, weight_load_);
  if (layer.conv.switched) return switched_load(layer, step, weight_load_);
  const Unit& run = unit(layer, step);
  isa::Load load;
  load.target = static_cast<std::uint32_t>(isa::LoadTarget::kWeights);
  load.offset = at(constants_.places, step.layer).weights +
                run.offset * static_cast<std::uint32_t>(config_.lanes);
  load.x_words = run.words;
  if (at(layer.chunks, step.chunk).second != Second::kNone)
    load.form = static_cast<std::uint32_t>(isa::LoadForm::kIndexed);
  return load;
}

isa::Load WeightQueue::param_load(const Step& step) const {
  isa::Load load;
  load.target = static_cast<std::uint32_t>(isa::LoadTarget::kParameters);
  load.offset = at(constants_.places, step.layer).params +
                static_cast<std::uint32_t>(step.blocks.low * config_.lanes * kParamWords);
  if (constants_.switchable) load.region = static_cast<std::uint32_t>(isa::Region::kMask);
  if (maskable_) {
    load.x_words = kParamWords;
    load.z_count = static_cast<std::uint32_t>(step.blocks.size());
    load.z_stride = load.z_count > 1 ? static_cast<std::uint32_t>(kParamWords * config_.lanes) : 0;
    load.clip.emplace();
    load.clip->n0 = static_cast<std::uint32_t>(step.blocks.low);
    load.clip->nb = load.z_count;
    load.clip->cut = load.clip->need_n = load.clip->image = 1;
  } else {
    load.x_words = static_cast<std::uint32_t>(step.blocks.size() * kParamWords);
  }
  return load;
}

void WeightQueue::Ring::load(std::int64_t words, std::int64_t first) {
  const auto base_of = [&](std::size_t n) { return n == 0 ? 0 : given[n - 1].first; };
  while (held && next < given.size() && loaded + first - base_of(next) > size) ++next;
  if (next > 0) wait = given[next - 1].second;
  loaded += words;
}

std::optional<isa::Load> WeightQueue::next(int limit) {
  weights_.wait = params_.wait = 0;
  for (; step_ <= limit && step_ < static_cast<int>(schedule_.order.size());
       ++step_, weight_load_ = 0) {
    const Need& ref = at(schedule_.order, step_);
    const Layer& layer = at(layers_, ref.layer);
    if (layer.is_pool()) continue;
    const Step& step = at(at(schedule_.by_layer, ref.layer), ref.step);
    if (const int loads = weight_loads(layer, step); step.load_weights && weight_load_ < loads) {
      const std::int64_t words = load_words(layer, step, weight_load_);
      // Bits come with the weights that take them.
      const std::int64_t room = words > 0 ? words : load_words(layer, step, weight_load_ + 1);
      if (!maskable_ && !weights_.fits(room + index_words(layer, step))) return std::nullopt;
      if (weight_load_ == 0) weight_position(step) = weights_.loaded;
      if (words > 0) weights_.load(words, early_ ? std::min(words, kBurstWords) : words);
      isa::Load load = weight_load(layer, step);
      ++weight_load_;
      out_.push_back(step_);
      load.layer = static_cast<std::uint32_t>(ref.layer);
      return load;
    }
    if (step.load_params) {
      if (!maskable_ && !params_.fits(step.blocks.size())) return std::nullopt;
      param_position(step) = params_.loaded;
      params_.load(step.blocks.size(), step.blocks.size());
      out_.push_back(step_);
      isa::Load load = param_load(step);
      load.layer = static_cast<std::uint32_t>(ref.layer);
      ++step_;
      weight_load_ = 0;
      return load;
    }
  }
  return std::nullopt;
}

int WeightQueue::ahead(int index) const {
  int count = 0;
  for (auto it = out_.rbegin(); it != out_.rend() && *it > index; ++it) ++count;
  return count;
}

void WeightQueue::use(const Step& step, isa::Conv& conv) {
  const Layer& layer = at(layers_, step.layer);
  const ConvPlan& plan = layer.conv_plan;
  const Chunk& chunk = at(layer.chunks, step.chunk);
  const int rows = step.blocks.size() * config_.lanes;
  const int kc = chunk.depth();
  const std::int64_t words = unit_words(layer, step);
  conv.w_tapwise = plan.tapwise ? 1 : 0;
  conv.w_n_stride = static_cast<std::uint32_t>(plan.tapwise ? kc : chunk.taps() * kc);
  conv.w_tap_stride = static_cast<std::uint32_t>(plan.tapwise ? rows * kc : kc);
  conv.w_piece = static_cast<std::uint32_t>(plan.tapwise ? std::int64_t{rows} * kc : words);
  if (at(constants_.places, step.layer).sparse) {
    conv.w_sparse = 1;
    conv.w_tapwise = 0;
    conv.w_n_stride = 1;
    conv.w_tap_stride = conv.rows * conv.cols;
    conv.w_piece = static_cast<std::uint32_t>(words);
  }
  // What is loaded for every CONV anew lies at the base when its turn comes.
  if (plan.weights_stay)
    conv.w_offset = static_cast<std::uint32_t>(weight_position(step) - weights_.base);
  conv.w_release = step.release_weights ? 1 : 0;
  if (step.release_weights) {
    ESP_CHECK(conv.w_offset == 0);
    weights_.base += words;
  }
  if (!step.last && !maskable_) return;
  if (plan.params_stay)
    conv.p_offset = static_cast<std::uint32_t>(param_position(step) - params_.base);
  conv.p_release = step.release_params ? 1 : 0;
  if (step.release_params) {
    ESP_CHECK(conv.p_offset == 0);
    if (step.last) params_.base += step.blocks.size();
  }
}

}  // namespace espalier::compiler
