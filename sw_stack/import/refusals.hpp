#pragma once
// Why a model is refused: all of its nodes that cannot be mapped, not the first alone.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace espalier::import_ {

/// What became of the nodes of a model. An importer that is given one goes on behind a node that it
/// refuses, with a stand-in for what the node makes.
class Refusals {
 public:
  struct Node {
    std::string op, name;
    std::int64_t macs = 0;              ///< multiply-accumulates of one image; 0 where not known
    std::optional<Diagnostic> refused;  ///< why
    bool judged = true;                 ///< false: behind one that is refused, of a shape unknown
  };
  void note(Node node) { nodes_.push_back(std::move(node)); }
  [[nodiscard]] std::vector<Node>& nodes() { return nodes_; }

  /// Whether importing goes on behind such an error: the model is well formed.
  static bool goes_on(const Diagnostic& error) {
    return error.code != ErrorCode::kMalformed && error.code != ErrorCode::kIo;
  }
  [[nodiscard]] bool any() const { return first() != nullptr; }
  /// The first node's error, or null.
  [[nodiscard]] const Diagnostic* first() const;
  /// The refused nodes by operator and reason, in the order of the model, and the share of the
  /// multiply-accumulates that the others have: lines for a reader. Empty where none is refused.
  [[nodiscard]] std::vector<std::string> lines() const;

 private:
  std::vector<Node> nodes_;
};

}  // namespace espalier::import_
