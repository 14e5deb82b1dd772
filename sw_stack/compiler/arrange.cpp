#include "compiler/arrange.hpp"

namespace espalier::compiler {

isa::Config ring_of(isa::Config config, int share) {
  config.weight_words /= share;
  return config;
}

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
    places.units = dense_units(out.layers[l], fixed.config.lanes);
  }
  out.emitted = emit(fixed.graph, out.layers, out.layout, out.schedule, constants,
                     ring_of(fixed.config, arrangement.ring_share));
  return out;
}

}  // namespace espalier::compiler
