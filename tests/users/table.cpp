#include "tests/users/table.hpp"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

namespace espalier::users {

Result<Results> Results::open(const std::string& path, const std::string& settings) {
  Results results;
  results.path_ = path;
  std::ifstream in(path);
  std::string line;
  if (in && std::getline(in, line)) {
    if (line != settings) {
      return fail(ErrorCode::kMismatch, fmt::format("is of `{}`; this run is `{}`", line, settings),
                  path);
    }
    while (std::getline(in, line) && !in.eof()) {  // a last line without its end was cut off
      std::istringstream words(line);
      std::string user, name;
      double value = 0;
      if (words >> user >> name >> value) results.values_[{user, name}] = value;
    }
    // Without what was cut off.
    std::ofstream out(path, std::ios::trunc);
    out << settings << "\n";
    for (const auto& [key, value] : results.values_)
      out << fmt::format("{} {} {}\n", key.first, key.second, value);
    out.close();
    if (!out) return fail(ErrorCode::kIo, "cannot be written", path);
    return results;
  }
  std::ofstream out(path, std::ios::trunc);
  out << settings << "\n";
  out.close();
  if (!out) return fail(ErrorCode::kIo, "cannot be written", path);
  return results;
}

bool Results::has(const std::string& user, const std::string& name) const {
  return values_.contains({user, name});
}

Status Results::add(const std::string& user, const std::string& name, double accuracy) {
  values_[{user, name}] = accuracy;
  std::ofstream out(path_, std::ios::app);
  out << fmt::format("{} {} {}\n", user, name, accuracy);
  out.close();
  if (!out) return fail(ErrorCode::kIo, "cannot be written", path_);
  return {};
}

double Results::at(const std::string& user, const std::string& name) const {
  return values_.at({user, name});
}

double cut_at(const std::vector<std::pair<double, double>>& loss_by_cut, double loss) {
  double cut = 1, lost = 0;
  for (const auto& [next, more] : loss_by_cut) {
    if (more > loss) return cut + (next - cut) * (loss - lost) / (more - lost);
    cut = next;
    lost = more;
  }
  return cut;
}

}  // namespace espalier::users
