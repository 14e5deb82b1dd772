#include "automask/train.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <numbers>
#include <sstream>

#include "automask/net.hpp"
#include "automask/samples.hpp"
#include "automask/state.hpp"
#include "base/bytes.hpp"
#include "base/integers.hpp"
#include "environment/recognise.hpp"
#include "golden/golden.hpp"
#include "images/output.hpp"

namespace espalier::automask {
namespace {

using torch::Tensor;

constexpr std::size_t kEvaluated = 250;  // images at once

template <typename T>
std::string saved(const T& value) {
  std::ostringstream out;
  torch::save(value, out);
  return out.str();
}

template <typename T>
void restore(T& value, const std::string& bytes) {
  std::istringstream in(bytes);
  torch::load(value, in);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Training {
 public:
  Training(const ir::QuantGraph& graph, const Options& options, const Watch& watch)
      : graph_(graph),
        options_(options),
        watch_(watch),
        device_(options.cuda ? torch::kCUDA : torch::kCPU) {}

  Result<Trained> run() {
    at::set_num_threads(options_.threads);
    for (const auto step : {&Training::check, &Training::load_samples, &Training::build_nets}) {
      if (const Status s = (this->*step)(); !s) return s.error();
    }
    adam_.emplace(groups());
    if (options_.resume) {
      if (const Status s = resume(); !s) return s.error();
    } else {
      judge(state_.before);
      keep_best(0);
    }
    for (int e = static_cast<int>(state_.epochs.size()); e < epochs(); ++e) {
      const Status s = epoch(e);
      if (!s) return s.error();
      if (trained_.interrupted != 0 || trained_.broken) break;
    }
    return finish();
  }

 private:
  Status check() {
    if (options_.cuda && !torch::cuda::is_available())
      return fail(ErrorCode::kUsage, "LibTorch finds no CUDA device; leave it out", "--device");
    if (!options_.clean.empty() && options_.labels)
      return fail(ErrorCode::kUsage, "goes with --labels none", "--clean");
    return {};
  }

  Status load_samples() {
    auto samples = Samples::load(options_.images, graph_, options_.labels, options_.count);
    if (!samples) return samples.error();
    samples_.emplace(std::move(*samples));
    trained_.held = static_cast<std::size_t>(
        std::llround(options_.held * static_cast<double>(samples_->size())));
    if (trained_.held == 0 || trained_.held >= samples_->size()) {
      return fail(ErrorCode::kRange,
                  fmt::format("are {}; of so many {} are held back, and one must be, and one left",
                              samples_->size(), trained_.held),
                  "--images");
    }
    trained_.learnt = samples_->size() - trained_.held;
    if (options_.clean.empty()) return {};
    auto clean = Samples::load(options_.clean, graph_, false, options_.count);
    if (!clean) return clean.error();
    if (clean->size() != samples_->size()) {
      return fail(ErrorCode::kMismatch,
                  fmt::format("are {}; --images are {}", clean->size(), samples_->size()),
                  "--clean");
    }
    clean_.emplace(std::move(*clean));
    return {};
  }

  Status build_nets() {
    auto net = Net::build(graph_, options_.what, device_);
    if (!net) return net.error();
    net_.emplace(std::move(*net));
    if (!clean_) return {};
    auto teacher =
        Net::build(graph_, What{environment::Kind::kDense, false, false, false}, device_);
    if (!teacher) return teacher.error();
    teacher_.emplace(std::move(*teacher));
    return {};
  }

  [[nodiscard]] int epochs() const { return options_.what.trains() ? options_.epochs : 0; }

  [[nodiscard]] std::vector<torch::optim::OptimizerParamGroup> groups() const {
    std::vector<torch::optim::OptimizerParamGroup> groups;
    const auto add = [&groups](const std::vector<Tensor>& parameters, double rate) {
      groups.emplace_back(parameters, std::make_unique<torch::optim::AdamOptions>(rate));
    };
    add(net_->scores(), options_.mask_rate);
    add(net_->others(), options_.rate);
    return groups;
  }

  /// All that changes the result.
  [[nodiscard]] std::uint64_t digest() const {
    const std::string text =
        fmt::format("{:016x} {:016x} {} {} {} {} {} {} {} {} {} {} {}", masks::fingerprint(graph_),
                    samples_->digest(), clean_ ? clean_->digest() : 0, options_.what.text(),
                    options_.labels, options_.epochs, options_.batch, options_.mask_rate,
                    options_.rate, options_.held, options_.flip, options_.shift, options_.seed);
    return fnv1a({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }

  Status resume() {
    auto state = load_state(options_.state, digest());
    if (!state) return state.error();
    state_ = std::move(*state);
    try {
      std::vector<Tensor> parameters;
      restore(parameters, state_.parameters);
      const std::vector<Tensor> mine = all_parameters();
      const torch::NoGradGuard no_gradients;
      for (std::size_t i = 0; i < mine.size(); ++i) mine[i].copy_(parameters.at(i));
      restore(*adam_, state_.adam);
    } catch (const std::exception& error) {
      return fail(ErrorCode::kMalformed, fmt::format("LibTorch cannot read it: {}", error.what()),
                  options_.state);
    }
    return {};
  }

  [[nodiscard]] std::vector<Tensor> all_parameters() const {
    std::vector<Tensor> list = net_->scores();
    for (const Tensor& t : net_->others()) list.push_back(t);
    return list;
  }

  /// The answers' cross-entropy with what teaches.
  Tensor loss(const Tensor& answers, const std::vector<std::size_t>& list,
              const std::vector<Move>& moves) const {
    if (options_.labels)
      return torch::nn::functional::cross_entropy(answers, samples_->labels(list).to(device_));
    const Tensor sure = torch::log_softmax(answers, 1);
    if (teacher_) return -(teach(list, moves).softmax(1) * sure).sum(1).mean();
    const Tensor mean = sure.exp().mean(0);
    return -(sure.exp() * sure).sum(1).mean() + (mean * (mean + 1e-8).log()).sum();
  }
  [[nodiscard]] Tensor teach(const std::vector<std::size_t>& list,
                             const std::vector<Move>& moves) const {
    const torch::NoGradGuard no_gradients;
    return teacher_->forward(clean_->inputs(list, moves).to(device_));
  }

  /// Loss and accuracy on images held back.
  void judge(Epoch& into) const {
    const torch::NoGradGuard no_gradients;
    double sum = 0;
    std::int64_t right = 0;
    for (std::size_t first = trained_.learnt; first < samples_->size(); first += kEvaluated) {
      std::vector<std::size_t> list;
      for (std::size_t i = first; i < std::min(first + kEvaluated, samples_->size()); ++i)
        list.push_back(i);
      const Tensor answers = net_->forward(samples_->inputs(list, {}).to(device_));
      sum += loss(answers, list, {}).item<double>() * static_cast<double>(list.size());
      if (!options_.labels && !teacher_) continue;
      const Tensor wanted =
          options_.labels ? samples_->labels(list).to(device_) : teach(list, {}).argmax(1);
      right += (answers.argmax(1) == wanted).sum().item<std::int64_t>();
    }
    into.held_loss = sum / static_cast<double>(trained_.held);
    into.held_accuracy = static_cast<double>(right) / static_cast<double>(trained_.held);
  }

  /// Whether the last epoch is the best so far: by loss, which chance moves less than accuracy;
  /// with one epoch at least the untrained one is none.
  [[nodiscard]] bool better(const Epoch& last) const {
    if (state_.best == 0) return true;
    return last.held_loss <= state_.epochs[static_cast<std::size_t>(state_.best) - 1].held_loss;
  }
  void keep_best(int epoch) {
    state_.best = epoch;
    state_.environment = environment::serialise(net_->environment());
  }

  Status epoch(int e) {
    const auto start = std::chrono::steady_clock::now();
    std::seed_seq seeds{static_cast<std::uint32_t>(options_.seed),
                        static_cast<std::uint32_t>(options_.seed >> 32),
                        static_cast<std::uint32_t>(e)};
    std::mt19937_64 random(seeds);
    std::vector<std::size_t> order(trained_.learnt);
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::size_t j = draw(random, i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    const auto batch = static_cast<std::size_t>(options_.batch);
    const std::size_t steps = (order.size() + batch - 1) / batch;
    Epoch now;
    for (std::size_t s = 0; s < steps; ++s) {
      if (watch_.signal && (trained_.interrupted = watch_.signal()) != 0) return {};
      const auto first = order.begin() + static_cast<std::ptrdiff_t>(s * batch);
      const auto last =
          order.begin() + static_cast<std::ptrdiff_t>(std::min((s + 1) * batch, order.size()));
      set_rates(static_cast<double>(static_cast<std::size_t>(e) * steps + s) /
                static_cast<double>(static_cast<std::size_t>(epochs()) * steps));
      now.loss += step({first, last}, random) * static_cast<double>(last - first);
      if (const std::string layer = net_->broken(); !layer.empty()) {
        trained_.broken = fail(
            ErrorCode::kRange,
            fmt::format("epoch {}, batch {}: what it learns is no finite number any more; lower "
                        "--mask-rate or --rate",
                        e + 1, s + 1),
            "layer '" + layer + "'");
        return {};
      }
      if (watch_.progress)
        watch_.progress(e, static_cast<std::size_t>(last - order.begin()), order.size());
    }
    now.loss /= static_cast<double>(order.size());
    judge(now);
    now.seconds = seconds_since(start);
    const bool best = better(now);
    state_.epochs.push_back(now);
    if (best) keep_best(e + 1);
    if (watch_.epoch) watch_.epoch(e, now);
    return keep_state();
  }

  double step(const std::vector<std::size_t>& list, std::mt19937_64& random) {
    std::vector<Move> moves(list.size());
    const auto span = static_cast<std::size_t>(2 * options_.shift + 1);
    for (Move& move : moves) {
      move.mirrored = options_.flip && draw(random, 2) == 1;
      move.down = static_cast<int>(draw(random, span)) - options_.shift;
      move.right = static_cast<int>(draw(random, span)) - options_.shift;
    }
    const Tensor answers = net_->forward(samples_->inputs(list, moves).to(device_));
    const Tensor cost = loss(answers, list, moves);
    adam_->zero_grad();
    cost.backward();
    adam_->step();
    net_->bound();
    return cost.item<double>();
  }

  /// A cosine from 1 to 0. Range: done 0 to 1.
  void set_rates(double done) {
    const double part = (1 + std::cos(std::numbers::pi * done)) / 2;
    const double rates[] = {options_.mask_rate, options_.rate};
    for (std::size_t g = 0; g < 2; ++g) {
      static_cast<torch::optim::AdamOptions&>(adam_->param_groups()[g].options())
          .lr(rates[g] * part);
    }
  }

  Status keep_state() {
    if (options_.state.empty()) return {};
    state_.digest = digest();
    state_.parameters = saved(all_parameters());
    state_.adam = saved(*adam_);
    return save_state(state_, options_.state);
  }

  Result<Trained> finish() {
    auto environment = environment::parse(state_.environment, "the environment");
    if (!environment) return environment.error();
    trained_.environment = std::move(*environment);
    trained_.environment.pictures = samples_->statistics(trained_.learnt);
    if (const auto probe = environment::probe(graph_))
      trained_.environment.pictures.looks = looks(*probe);
    trained_.before = state_.before;
    trained_.epochs = state_.epochs;
    trained_.best = state_.best;
    if (trained_.interrupted != 0 || !options_.labels) return std::move(trained_);
    const auto adapted = environment::apply(trained_.environment, graph_, "the environment");
    if (!adapted) return adapted.error();
    trained_.frozen = count_right(graph_);
    trained_.adapted = count_right(*adapted);
    return std::move(trained_);
  }

  /// Of the images that were learnt from.
  [[nodiscard]] environment::Looks looks(const ir::QuantGraph& probe) const {
    const golden::Runner golden(probe);
    const ir::QuantTensor& tensor = at(probe.tensors, probe.output);
    environment::LooksMeter meter;
    for (std::size_t i = 0; i < trained_.learnt; ++i) {
      const auto tensors = golden.run(samples_->stored(i));
      meter.add(environment::features(tensor, tensors[index(probe.output)]));
    }
    return meter.looks();
  }

  [[nodiscard]] Share count_right(const ir::QuantGraph& graph) const {
    const golden::Runner golden(graph);
    Share share{0, trained_.held};
    for (std::size_t first = trained_.learnt; first < samples_->size(); first += kEvaluated) {
      const std::size_t end = std::min(first + kEvaluated, samples_->size());
      std::vector<std::int8_t> inputs;
      for (std::size_t i = first; i < end; ++i) {
        const auto image = samples_->stored(i);
        inputs.insert(inputs.end(), image.begin(), image.end());
      }
      const auto outputs = golden.run_batch(inputs, options_.threads);
      const std::size_t classes = outputs.size() / (end - first);
      for (std::size_t i = first; i < end; ++i) {
        const auto answer = std::span(outputs).subspan((i - first) * classes, classes);
        share.right += images::arg_max(answer) == samples_->label(i) ? 1 : 0;
      }
    }
    return share;
  }

  const ir::QuantGraph& graph_;
  const Options& options_;
  const Watch& watch_;
  torch::Device device_;
  std::optional<Samples> samples_, clean_;
  std::optional<Net> net_, teacher_;
  std::optional<torch::optim::Adam> adam_;
  State state_;
  Trained trained_;
};

}  // namespace

Result<Trained> train(const ir::QuantGraph& graph, const Options& options, const Watch& watch) {
  return Training(graph, options, watch).run();
}

}  // namespace espalier::automask
