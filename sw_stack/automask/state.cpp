#include "automask/state.hpp"

#include <algorithm>

#include "masks/sealed.hpp"
#include "base/bytes.hpp"
#include "base/whole_file.hpp"

namespace espalier::automask {
namespace {

constexpr char kMagic[8] = {'E', 'S', 'P', 'T', 'R', 'A', 'I', 'N'};
constexpr std::uint32_t kVersion = 1;

void put(ByteWriter& out, const Epoch& epoch) {
  for (const double value : {epoch.loss, epoch.held_loss, epoch.held_accuracy, epoch.seconds})
    out.put(value);
}

Epoch get_epoch(ByteReader& in) {
  Epoch epoch;
  for (double* value : {&epoch.loss, &epoch.held_loss, &epoch.held_accuracy, &epoch.seconds})
    *value = in.get<double>();
  return epoch;
}

}  // namespace

Status save_state(const State& state, const std::string& path) {
  ByteWriter out;
  for (const char c : kMagic) out.put(c);
  out.put(kVersion);
  out.put(state.digest);
  put(out, state.before);
  out.put(static_cast<std::uint64_t>(state.epochs.size()));
  for (const Epoch& epoch : state.epochs) put(out, epoch);
  out.put(static_cast<std::int32_t>(state.best));
  out.put_bytes(state.environment);
  out.put_string(state.parameters);
  out.put_string(state.adam);
  out.put(fnv1a(out.bytes()));
  return write_file(path, out.bytes());
}

Result<State> load_state(const std::string& path, std::uint64_t digest) {
  const auto text = read_file(path);
  if (!text) return text.error();
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(text->data()), text->size());
  if (bytes.size() < sizeof(kMagic) ||
      !std::equal(std::begin(kMagic), std::end(kMagic), bytes.begin())) {
    return fail(ErrorCode::kMalformed, "no state of a training: it does not begin with `ESPTRAIN`",
                path);
  }
  ByteReader in(bytes);
  (void)in.get_raw(sizeof(kMagic));
  if (const Status s = masks::check_version(in, kVersion, path); !s) return s.error();
  State state;
  state.digest = in.get<std::uint64_t>();
  state.before = get_epoch(in);
  state.epochs.resize(in.get_count(4 * sizeof(double)));
  for (Epoch& epoch : state.epochs) epoch = get_epoch(in);
  state.best = in.get<std::int32_t>();
  const auto environment = in.get_bytes();
  state.environment.assign(environment.begin(), environment.end());
  state.parameters = in.get_string();
  state.adam = in.get_string();
  if (const Status s = masks::check_end(in, bytes, path); !s) return s.error();
  if (state.digest != digest) {
    return fail(ErrorCode::kMismatch,
                "is of another training: model, images or options are others; leave out --resume, "
                "or name another --state",
                path);
  }
  return state;
}

}  // namespace espalier::automask
