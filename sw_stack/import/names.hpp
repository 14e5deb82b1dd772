#pragma once
// Names that are given out once.

#include <map>
#include <set>
#include <string>

namespace espalier::import_ {

class Names {
 public:
  /// `wanted`, or `otherwise` where it is empty; where that is taken `wanted_2`, `wanted_3`, ...
  std::string take(const std::string& wanted, const char* otherwise) {
    const std::string base = wanted.empty() ? otherwise : wanted;
    std::string name = base;
    while (!used_.insert(name).second) name = base + "_" + std::to_string(++last_[base] + 1);
    return name;
  }

 private:
  std::set<std::string> used_;
  std::map<std::string, int> last_;
};

}  // namespace espalier::import_
