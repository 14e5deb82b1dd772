#include "runtime/devices.hpp"

namespace espalier::runtime {
namespace {

class GoldenDevice final : public Device {
 public:
  GoldenDevice(const program::Program& program, const DeviceOptions& options,
               std::vector<std::shared_ptr<const golden::Runner>> runners)
      : program_(program), keep_(options.keep_tensors), runners_(std::move(runners)) {}

  void use(std::size_t mask) override { mask_ = mask; }

  [[nodiscard]] std::size_t batch() const override { return keep_ ? 1 : 8; }

  Result<std::vector<Execution>> run(std::span<const std::int8_t> images,
                                     const Finished& finished) override {
    const ir::QuantGraph& graph = program_.graph;
    const auto count_of = [&graph](int id) {
      return static_cast<std::size_t>(graph.tensors[static_cast<std::size_t>(id)].shape.count());
    };
    const auto in = static_cast<std::size_t>(ir::input_elements(graph));
    const std::size_t out = count_of(graph.output);
    std::vector<Execution> list(images.size() / in);
    if (!keep_) {
      const std::vector<std::int8_t> outputs = runners_[mask_]->run_batch(images, 1);
      for (std::size_t i = 0; i < list.size(); ++i) {
        const auto part = std::span(outputs).subspan(i * out, out);
        list[i].output.assign(part.begin(), part.end());
      }
      if (finished) finished(list.size());
      return list;
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
      std::vector<golden::Tensor> tensors = runners_[mask_]->run(images.subspan(i * in, in));
      list[i].output = tensors[static_cast<std::size_t>(graph.output)];
      for (const auto& placement : program_.placements) {
        list[i].stored.push_back(
            {placement.tensor, tensors[static_cast<std::size_t>(placement.tensor)]});
      }
      if (finished) finished(i + 1);
    }
    return list;
  }

 private:
  const program::Program& program_;
  bool keep_;
  std::vector<std::shared_ptr<const golden::Runner>> runners_;
  std::size_t mask_ = 0;
};

}  // namespace

DevicePtr make_golden(const program::Program& program, const DeviceOptions& options,
                      std::vector<std::shared_ptr<const golden::Runner>> runners) {
  return std::make_unique<GoldenDevice>(program, options, std::move(runners));
}

}  // namespace espalier::runtime
