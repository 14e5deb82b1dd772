#pragma once
// The stream of a user's images, with the labels that may be used.

#include <optional>
#include <string>
#include <vector>

#include "flows/listener.hpp"
#include "images/dataset.hpp"
#include "ir/graph.hpp"
#include "base/result.hpp"

namespace espalier::flows {

class UserStream {
 public:
  /// `labels`: `predicted`, `given` (those of the stream), or a file with a label a line.
  /// Errors: those of images::Dataset; kUsage where labels are given and there are none; kMalformed
  /// and kMismatch for a file of labels, with its line. `graph` must outlive it.
  static Result<UserStream> open(const ir::QuantGraph& graph, const std::string& path,
                                 const std::string& labels, const Listener& listener);

  [[nodiscard]] std::size_t size() const { return set_.size(); }
  /// Whether labels are the network's own answers.
  [[nodiscard]] bool predicted() const { return predicted_; }
  /// Range: i < size(), not predicted().
  [[nodiscard]] int label(std::size_t i) const { return labels_[i]; }
  /// Images first .. first + count as network inputs, one after the other.
  /// Errors: those of images::Dataset::load.
  [[nodiscard]] Result<std::vector<std::int8_t>> load(std::size_t first, std::size_t count) const;

 private:
  UserStream(const ir::QuantGraph& graph, images::Dataset set)
      : graph_(&graph), set_(std::move(set)) {}
  Status read_labels(const std::string& images, const std::string& path);

  const ir::QuantGraph* graph_;
  images::Dataset set_;
  bool predicted_ = false;
  std::vector<int> labels_;
};

}  // namespace espalier::flows
