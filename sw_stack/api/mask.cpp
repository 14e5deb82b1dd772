#include <cmath>

#include "api/impl.hpp"
#include "masks/choose.hpp"

namespace espalier {
namespace {

Mask wrap(const Program& program, const masks::Mask& mask) {
  const Program::Impl& of = program.impl();
  Mask::Impl made;
  made.file = masks::to_file(of.program.graph, of.channels, mask, of.model);
  made.live = masks::by_tensor(of.channels, mask);
  made.model = of.model;
  for (std::size_t c = 0; c < of.channels.classes(); ++c) {
    if (!of.channels.prunable[c]) continue;
    ++made.channels;
    made.stay += mask.live[c] ? 1 : 0;
  }
  return Mask(std::make_shared<const Mask::Impl>(std::move(made)));
}

Result<masks::Choice> choice(const Program& program, double keep, Mask::Scope scope) {
  if (!(keep > 0 && keep <= 1)) {
    return fail(ErrorCode::kRange, "is " + std::to_string(keep) + "; above 0, up to 1", "keep");
  }
  if (program.impl().channels.groups.empty())
    return fail(ErrorCode::kUnsupported, "has no channels that could go", program.network());
  return masks::Choice{keep,
                       scope == Mask::Scope::kAll ? masks::Scope::kAll : masks::Scope::kInternal,
                       program.impl().program.machine().lanes};
}

}  // namespace

Mask::Mask(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Result<Mask> Mask::load(const Program& program, const std::string& file) {
  const Program::Impl& of = program.impl();
  const auto mask = masks::load_mask_for(of.program.graph, of.channels, file, of.model);
  if (!mask) return mask.error();
  return wrap(program, *mask);
}

Result<Mask> Mask::random(const Program& program, double keep, std::uint64_t seed, Scope scope) {
  const auto how = choice(program, keep, scope);
  if (!how) return how.error();
  return wrap(program, masks::random_mask(program.impl().channels, *how, seed));
}

Result<Mask> Mask::magnitude(const Program& program, double keep, Scope scope) {
  const auto how = choice(program, keep, scope);
  if (!how) return how.error();
  const Program::Impl& of = program.impl();
  return wrap(program, masks::magnitude_mask(of.program.graph, of.channels, *how));
}

Status Mask::save(const std::string& file) const { return masks::save_mask(impl_->file, file); }

std::size_t Mask::channels() const { return impl_->channels; }
std::size_t Mask::live() const { return impl_->stay; }

namespace api {

Result<runtime::DeviceOptions> resident(const Program& program, std::span<const Mask> masks,
                                        bool packed) {
  runtime::DeviceOptions options;
  std::vector<program::Masked> applied;
  for (std::size_t m = 0; m < masks.size(); ++m) {
    const Mask::Impl& mask = masks[m].impl();
    if (mask.model != program.impl().model) {
      return fail(ErrorCode::kMismatch, "is of another network than " + program.network(),
                  "mask " + std::to_string(m));
    }
    options.masks.push_back(mask.live);
    if (!packed) continue;
    auto made = runtime::masked(program.impl().program, options, m);
    if (!made) return placed(made.error(), "mask " + std::to_string(m));
    applied.push_back(std::move(*made));
  }
  if (packed && !masks.empty())
    options.applied = std::make_shared<const std::vector<program::Masked>>(std::move(applied));
  return options;
}

}  // namespace api
}  // namespace espalier
