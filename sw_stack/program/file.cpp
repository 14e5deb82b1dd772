#include <cstdio>

#include "program/program.hpp"
#include "program/stored_bytes.hpp"
#include "base/bytes.hpp"
#include "base/whole_file.hpp"

namespace espalier::program {
namespace {

constexpr char kMagic[8] = {'E', 'S', 'P', 'A', 'L', 'I', 'E', 'R'};
constexpr std::uint32_t kFormatVersion = 7;
constexpr std::size_t kFingerprintBytes = 8;

void put_ints(ByteWriter& out, const std::vector<int>& values) {
  out.put(static_cast<std::uint64_t>(values.size()));
  for (const int value : values) out.put(static_cast<std::int32_t>(value));
}

std::vector<int> get_ints(ByteReader& in) {
  std::vector<int> values(in.get_count(4));
  for (int& value : values) value = in.get<std::int32_t>();
  return values;
}

void put_weights(ByteWriter& out, const Maskable::Weights& w) {
  for (const std::uint32_t value : {w.weights, w.params, w.maps}) out.put(value);
  for (const int value : {w.taps, w.k_blocks, w.n_blocks, w.kc, w.nb})
    out.put(static_cast<std::int32_t>(value));
  out.put(static_cast<std::uint8_t>(w.tapwise));
}

Maskable::Weights get_weights(ByteReader& in) {
  Maskable::Weights w;
  for (std::uint32_t* value : {&w.weights, &w.params, &w.maps}) *value = in.get<std::uint32_t>();
  for (int* value : {&w.taps, &w.k_blocks, &w.n_blocks, &w.kc, &w.nb})
    *value = in.get<std::int32_t>();
  w.tapwise = in.get<std::uint8_t>() != 0;
  return w;
}

void put_maskable(ByteWriter& out, const Maskable& m) {
  out.put(static_cast<std::uint64_t>(m.spots.size()));
  for (const Maskable::Spot& spot : m.spots) {
    for (const int value : {spot.tensor, spot.root, spot.block})
      out.put(static_cast<std::int32_t>(value));
    put_ints(out, spot.segments);
  }
  out.put(static_cast<std::uint64_t>(m.layers.size()));
  for (const Maskable::Layer& layer : m.layers) {
    for (const int value : {layer.input, layer.operand, layer.output})
      out.put(static_cast<std::int32_t>(value));
    out.put(static_cast<std::uint8_t>(layer.whole_input));
    out.put(static_cast<std::uint8_t>(layer.weights.has_value()));
    if (layer.weights) put_weights(out, *layer.weights);
  }
}

Maskable get_maskable(ByteReader& in) {
  Maskable m;
  m.spots.resize(in.get_count(20));
  for (Maskable::Spot& spot : m.spots) {
    for (int* value : {&spot.tensor, &spot.root, &spot.block}) *value = in.get<std::int32_t>();
    spot.segments = get_ints(in);
  }
  m.layers.resize(in.get_count(14));
  for (Maskable::Layer& layer : m.layers) {
    for (int* value : {&layer.input, &layer.operand, &layer.output})
      *value = in.get<std::int32_t>();
    layer.whole_input = in.get<std::uint8_t>() != 0;
    if (in.get<std::uint8_t>() != 0) layer.weights = get_weights(in);
  }
  return m;
}

/// An order's numbers, in the order of the file; a part's likewise.
constexpr int WeightOrder::*kOrder[] = {&WeightOrder::n_blocks, &WeightOrder::k_blocks,
                                        &WeightOrder::kernel_y, &WeightOrder::kernel_x,
                                        &WeightOrder::nb};
constexpr int WeightOrder::Part::*kPart[] = {&WeightOrder::Part::ky,   &WeightOrder::Part::kx,
                                             &WeightOrder::Part::kb,   &WeightOrder::Part::rows,
                                             &WeightOrder::Part::cols, &WeightOrder::Part::blocks,
                                             &WeightOrder::Part::step};

void put_placements(ByteWriter& out, const std::vector<Placement>& placements) {
  out.put(static_cast<std::uint64_t>(placements.size()));
  for (const Placement& placement : placements) {
    out.put(static_cast<std::int32_t>(placement.tensor));
    out.put(static_cast<std::uint32_t>(placement.region));
    out.put(placement.offset);
    out.put(placement.stores);
  }
}

std::vector<Placement> get_placements(ByteReader& in) {
  std::vector<Placement> placements(in.get_count(16));
  for (Placement& placement : placements) {
    placement.tensor = in.get<std::int32_t>();
    placement.region = static_cast<isa::Region>(in.get<std::uint32_t>());
    placement.offset = in.get<std::uint32_t>();
    placement.stores = in.get<std::uint32_t>();
  }
  return placements;
}

void put_switchable(ByteWriter& out, const Switchable& s) {
  out.put(s.bytes);
  put_stored(out, s.clean.instructions);
  out.put(s.clean.activation_bytes);
  put_placements(out, s.clean.placements);
  out.put(static_cast<std::uint64_t>(s.layers.size()));
  for (const Switchable::Layer& layer : s.layers) {
    out.put(static_cast<std::int32_t>(layer.node));
    out.put(static_cast<std::uint8_t>(layer.bits));
    out.put(layer.bits_at);
    out.put(layer.params_at);
    for (int WeightOrder::*value : kOrder) out.put(static_cast<std::int32_t>(layer.order.*value));
    out.put(static_cast<std::uint8_t>(layer.order.tapwise));
    out.put(static_cast<std::uint64_t>(layer.order.parts.size()));
    for (const WeightOrder::Part& part : layer.order.parts) {
      for (int WeightOrder::Part::*value : kPart) out.put(static_cast<std::int32_t>(part.*value));
      out.put(static_cast<std::uint8_t>(part.selected));
    }
    put_ints(out, layer.rows);
    out.put(static_cast<std::uint64_t>(layer.runs.size()));
    for (const Switchable::Run& run : layer.runs) {
      out.put(run.offset);
      out.put(run.size);
    }
  }
}

Switchable get_switchable(ByteReader& in) {
  Switchable s;
  s.bytes = in.get<std::uint32_t>();
  s.clean.instructions = get_stored(in);
  s.clean.activation_bytes = in.get<std::uint32_t>();
  s.clean.placements = get_placements(in);
  s.layers.resize(in.get_count(58));
  for (Switchable::Layer& layer : s.layers) {
    layer.node = in.get<std::int32_t>();
    layer.bits = in.get<std::uint8_t>() != 0;
    layer.bits_at = in.get<std::uint32_t>();
    layer.params_at = in.get<std::uint32_t>();
    for (int WeightOrder::*value : kOrder) layer.order.*value = in.get<std::int32_t>();
    layer.order.tapwise = in.get<std::uint8_t>() != 0;
    layer.order.parts.resize(in.get_count(29));
    for (WeightOrder::Part& part : layer.order.parts) {
      for (int WeightOrder::Part::*value : kPart) part.*value = in.get<std::int32_t>();
      part.selected = in.get<std::uint8_t>() != 0;
    }
    layer.rows = get_ints(in);
    layer.runs.resize(in.get_count(8));
    for (Switchable::Run& run : layer.runs) {
      run.offset = in.get<std::uint32_t>();
      run.size = in.get<std::uint32_t>();
    }
  }
  return s;
}

/// The sizes of a machine, in the order of the file.
constexpr int isa::Config::*kSizes[] = {
    &isa::Config::lanes,      &isa::Config::act_words,    &isa::Config::weight_words,
    &isa::Config::acc_words,  &isa::Config::param_blocks, &isa::Config::bus_bytes,
    &isa::Config::post_lanes, &isa::Config::pool_lanes,   &isa::Config::mask_layers,
    &isa::Config::pack_lanes, &isa::Config::fine,         &isa::Config::address_bits,
    &isa::Config::acc_halves};

void put_config(ByteWriter& out, const isa::Config& config) {
  out.put_string(std::string(config.name));
  for (int isa::Config::*size : kSizes) out.put(static_cast<std::int32_t>(config.*size));
  out.put(static_cast<std::uint8_t>(config.core));
  out.put(static_cast<std::uint8_t>(config.counters));
  out.put(static_cast<std::uint8_t>(config.timing_model));
  out.put(config.hash);
}

isa::Config get_config(ByteReader& in) {
  isa::Config config;
  config.name = isa::ShortName(std::string_view(in.get_string()));
  for (int isa::Config::*size : kSizes) config.*size = in.get<std::int32_t>();
  config.core = static_cast<isa::Core>(in.get<std::uint8_t>());
  config.counters = in.get<std::uint8_t>() != 0;
  config.timing_model = in.get<std::uint8_t>() != 0;
  config.hash = in.get<std::uint32_t>();
  return config;
}

void put_body(ByteWriter& out, const Program& p) {
  put_config(out, p.config);
  const std::vector<std::uint8_t> graph = ir::serialise(p.graph);
  constexpr std::size_t kRest = 1 << 16;  // what is short
  out.reserve(graph.size() + p.instructions.size() + p.constants.size() + kRest);
  put_stored(out, graph);
  put_stored(out, p.instructions);
  put_stored(out, p.constants);
  out.put(p.activation_bytes);
  out.put(p.input_bytes);
  out.put(p.output_bytes);
  for (const int value :
       {p.input.blocks, p.input.h, p.input.w, p.input.stride_y, p.input.stride_x}) {
    out.put(static_cast<std::int32_t>(value));
  }
  out.put(static_cast<std::uint64_t>(p.input.lanes.size()));
  for (const auto& lane : p.input.lanes) {
    for (const int value : {lane.c, lane.dy, lane.dx}) out.put(static_cast<std::int32_t>(value));
  }
  put_placements(out, p.placements);
  out.put(static_cast<std::uint64_t>(p.layers.size()));
  for (const auto& layer : p.layers) {
    out.put_string(layer.name);
    out.put_string(layer.op);
    put_ints(out, layer.nodes);
    out.put(layer.macs);
    put_ints(out, layer.tile);
  }
  out.put(static_cast<std::uint8_t>(p.maskable.has_value()));
  if (p.maskable) put_maskable(out, *p.maskable);
  out.put(static_cast<std::uint8_t>(p.switchable.has_value()));
  if (p.switchable) put_switchable(out, *p.switchable);
}

/// Everything but the graph's own checks; `graph_bytes` is parsed by the caller.
void get_body(ByteReader& in, Program& p, std::vector<std::uint8_t>& graph_bytes) {
  p.config = get_config(in);
  graph_bytes = get_stored(in);
  p.instructions = get_stored(in);
  p.constants = get_stored(in);
  p.activation_bytes = in.get<std::uint32_t>();
  p.input_bytes = in.get<std::uint32_t>();
  p.output_bytes = in.get<std::uint32_t>();
  for (int* value :
       {&p.input.blocks, &p.input.h, &p.input.w, &p.input.stride_y, &p.input.stride_x}) {
    *value = in.get<std::int32_t>();
  }
  p.input.lanes.resize(in.get_count(12));
  for (auto& lane : p.input.lanes) {
    for (int* value : {&lane.c, &lane.dy, &lane.dx}) *value = in.get<std::int32_t>();
  }
  p.placements = get_placements(in);
  p.layers.resize(in.get_count(40));
  for (auto& layer : p.layers) {
    layer.name = in.get_string();
    layer.op = in.get_string();
    layer.nodes = get_ints(in);
    layer.macs = in.get<std::int64_t>();
    layer.tile = get_ints(in);
  }
  if (in.get<std::uint8_t>() != 0) p.maskable = get_maskable(in);
  if (in.get<std::uint8_t>() != 0) p.switchable = get_switchable(in);
}

}  // namespace

std::vector<std::uint8_t> serialise(const Program& program) {
  ByteWriter out;
  for (const char c : kMagic) out.put(c);
  out.put(kFormatVersion);
  put_body(out, program);
  out.put(fnv1a(out.bytes()));
  return out.take();
}

std::uint64_t fingerprint(const Program& program) {
  const auto bytes = serialise(program);
  return fnv1a(std::span(bytes).first(bytes.size() - kFingerprintBytes));
}

Result<Program> parse(std::span<const std::uint8_t> bytes, const std::string& file_name) {
  if (bytes.size() < sizeof(kMagic) ||
      !std::equal(std::begin(kMagic), std::end(kMagic), bytes.begin())) {
    return fail(ErrorCode::kMalformed, "not an Espalier program: it does not begin with `ESPALIER`",
                file_name);
  }
  ByteReader in(bytes.subspan(sizeof(kMagic)));
  const auto version = in.get<std::uint32_t>();
  if (!in.ok()) return fail(ErrorCode::kMalformed, "truncated in its header", file_name);
  if (version != kFormatVersion) {
    return fail(ErrorCode::kMismatch,
                "format version " + std::to_string(version) + "; this build reads " +
                    std::to_string(kFormatVersion),
                file_name);
  }
  Program program;
  std::vector<std::uint8_t> graph_bytes;
  get_body(in, program, graph_bytes);
  if (!in.ok()) {
    return fail(ErrorCode::kMalformed,
                "truncated or corrupt near byte " + std::to_string(in.position() + sizeof(kMagic)),
                file_name);
  }
  if (in.remaining() != kFingerprintBytes) {
    return fail(ErrorCode::kMalformed, "truncated, or bytes follow its end", file_name);
  }
  if (in.get<std::uint64_t>() != fnv1a(bytes.first(bytes.size() - kFingerprintBytes))) {
    return fail(ErrorCode::kMalformed, "corrupt: its fingerprint does not match its contents",
                file_name);
  }
  auto graph = ir::parse_graph(graph_bytes.data(), graph_bytes.size());
  if (!graph) return fail(graph.error().code, graph.error().text(), file_name);
  program.graph = std::move(*graph);
  if (const Status status = verify(program); !status) {
    return fail(status.error().code, status.error().text(), file_name);
  }
  return program;
}

Status save(const Program& program, const std::string& path) {
  return write_file(path, serialise(program));
}

Result<Program> load(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  return parse({reinterpret_cast<const std::uint8_t*>(text->data()), text->size()}, path);
}

}  // namespace espalier::program
