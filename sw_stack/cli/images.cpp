#include "cli/images.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/common.hpp"

namespace espalier::cli {
namespace {

constexpr std::size_t kNamed = 5;  // files, of those that are left out

}  // namespace

Result<images::Dataset> open_images(const std::string& path, const ir::Shape& shape) {
  auto set = images::Dataset::open(path, shape);
  if (!set || set->left_out().empty()) return set;
  const std::vector<std::string>& names = set->left_out();
  std::string list;
  for (std::size_t i = 0; i < std::min(kNamed, names.size()); ++i)
    list += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamed) list += fmt::format(" and {} more", names.size() - kNamed);
  fmt::print(stderr, "espalier: {}: {} left out, which {} no {} file: {}\n", printable(path),
             names.size() == 1 ? "1 file is" : fmt::format("{} files are", names.size()),
             names.size() == 1 ? "is" : "are", images::kPictureKinds, printable(list));
  return set;
}

}  // namespace espalier::cli
