#include "compiler/arrange.hpp"

#include "base/bytes.hpp"

namespace espalier::compiler {

Result<Arranged> arrange(const Fixed& fixed, std::vector<Layer> layers,
                         const Arrangement& arrangement, const Span& some) {
  Arranged out;
  out.layers = std::move(layers);
  out.layout = fixed.layout;
  out.schedule = make_steps(out.layers, out.layout, fixed.config, some);
  merge_order(out.layers, fixed.windows, arrangement.order, out.schedule);
  const auto bytes = allocate(out.schedule, fixed.config.lanes, out.layout);
  if (!bytes) return bytes.error();
  out.activation_bytes = *bytes;
  Constants constants;
  constants.places = fixed.constants.places;
  for (std::size_t l = 0; l < out.layers.size(); ++l) {
    ConstantPlaces& places = constants.places[l];
    if (out.layers[l].is_pool() || places.sparse || fixed.layout.maskable) continue;
    places.units = units_of(out.layers[l], fixed.config.lanes);
  }
  out.emitted = emit(fixed.graph, out.layers, out.layout, out.schedule, constants, fixed.config,
                     arrangement.room);
  return out;
}

std::uint64_t program_key(const std::vector<Layer>& layers, const Arrangement& how) {
  ByteWriter key;
  const auto put = [&key](auto... values) { (key.put(values), ...); };
  put(how.order.settle, how.order.spread);
  put(how.room.weight_words, how.room.param_blocks, how.room.hold);
  for (const Layer& layer : layers) {
    const ConvPlan& c = layer.conv_plan;
    put(c.rows, c.cols, c.nb, c.kc, c.tap_rows, c.tap_cols, c.fine, c.by_group, c.hold,
        c.weights_stay, c.tapwise, c.params_stay, c.budget, c.slots, c.operand_slots);
    const PoolPlan& p = layer.pool_plan;
    put(p.rows, p.cols, p.blocks, p.base, p.slots);
  }
  return fnv1a(key.bytes());
}

}  // namespace espalier::compiler
