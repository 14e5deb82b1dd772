#pragma once
// What files of masks say of a graph, found in it again: the model that they are for, and its
// convolutions by name.

#include <map>
#include <string>

#include "ir/graph.hpp"
#include "masks/channels.hpp"
#include "base/result.hpp"

namespace espalier::masks {

/// The graph's fingerprint. Errors: kMismatch where `named` is another; `place` names the file.
Result<std::uint64_t> same_model(std::uint64_t named, const ir::QuantGraph& graph,
                                 const std::string& place, Known known);

/// The convolutions of a graph by name, copies aside.
class Convolutions {
 public:
  explicit Convolutions(const ir::QuantGraph& graph);
  /// The node. Errors: kMalformed where there is none of that name, or two; `place` names the
  /// layer.
  [[nodiscard]] Result<int> find(const std::string& name, const std::string& place) const;
  /// Whether there are two of that name.
  [[nodiscard]] bool twice(const std::string& name) const;

 private:
  std::map<std::string, int> nodes_;
};

}  // namespace espalier::masks
