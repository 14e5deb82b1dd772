#include "flows/degrade.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>

#include "base/parallel.hpp"
#include "flows/images.hpp"
#include "images/album.hpp"

namespace espalier::flows {
namespace {

constexpr std::size_t kBatch = 64;  // between two looks at the bar

struct Change {
  double sum = 0, squares = 0;
  std::size_t values = 0;
};

Change change(const images::Picture& before, const images::Picture& after) {
  Change total;
  total.values = before.pixels.size();
  for (std::size_t k = 0; k < total.values; ++k) {
    const double by = static_cast<double>(after.pixels[k]) - before.pixels[k];
    total.sum += std::abs(by);
    total.squares += by * by;
  }
  return total;
}

}  // namespace

double Degraded::psnr() const {
  return mean_square > 0 ? 10 * std::log10(255.0 * 255.0 / mean_square)
                         : std::numeric_limits<double>::infinity();
}

Result<Degraded> degrade(const DegradeOptions& options, const Listener& listener) {
  if (options.kinds.empty())
    return fail(ErrorCode::kUsage, "no kind of degradation is named, as --jpeg 10 would");
  const auto album = images::Album::open(options.images);
  if (!album) return album.error();
  tell_left_out(album->left_out(), options.images, listener);
  const auto copy = album->copy(options.output);
  if (!copy) return copy.error();
  const std::size_t count = album->size();
  std::vector<Change> changes(count);
  std::vector<std::optional<Diagnostic>> errors(count);
  std::atomic<bool> failed = false;
  for (std::size_t first = 0; first < count && !failed; first += kBatch) {
    listener.show("degrading", first, count);
    for_each(std::min(kBatch, count - first), options.jobs, [&](std::size_t k) {
      const std::size_t i = first + k;
      const auto complain = [&](Diagnostic error) {
        errors[i] =
            error.place.empty() ? placed(std::move(error), album->name(i)) : std::move(error);
        failed = true;
      };
      const auto picture = album->read(i);
      if (!picture) return complain(picture.error());
      const auto worse = images::degrade(*picture, options.kinds, options.seed, i);
      if (!worse) return complain(worse.error());
      if (const Status put = (*copy)->put(i, *worse); !put) return complain(put.error());
      changes[i] = change(*picture, *worse);
    });
  }
  for (const auto& error : errors) {
    if (error) return *error;
  }
  if (const Status done = (*copy)->finish(); !done) return done.error();
  Degraded made{count};
  double values = 0;
  for (const Change& one : changes) {
    made.mean_change += one.sum;
    made.mean_square += one.squares;
    values += static_cast<double>(one.values);
  }
  made.mean_change /= values;
  made.mean_square /= values;
  return made;
}

}  // namespace espalier::flows
