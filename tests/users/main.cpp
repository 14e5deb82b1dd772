// Personalises a network for random users, and tells what each way to do it costs in accuracy.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <random>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "program/program.hpp"
#include "tests/users/cases.hpp"
#include "tests/users/table.hpp"

namespace espalier::users {
namespace {

constexpr const char* kGeneric = "generic";
const std::vector<double> kCuts{1.25, 1.5, 2, 3};

struct Row {
  std::string title;
  Case settings;  // its cut aside
};
const std::vector<Row> kRows{
    {"Taylor, all corrections", {}},
    {"Taylor, fold", {1, "taylor", "fold", 1}},
    {"Taylor, no correction", {1, "taylor", "none", 1}},
    {"Taylor not by cost, all", {1, "plain", "all", 1}},
    {"magnitude, all", {1, "magnitude", "all", 1}},
    {"activation, all", {1, "activation", "all", 1}},
    {"random, all", {1, "random", "all", 1}},
    {"Taylor, all, multiples of 4", {1, "taylor", "all", 4}},
    {"Taylor, all, multiples of 8", {1, "taylor", "all", 8}},
    {"Taylor, all, multiples of 16", {1, "taylor", "all", 16}},
};

/// The cut at one point lost that Taylor with all corrections must reach, by number of classes.
const std::map<std::size_t, double> kBars{{2, 1.5}, {3, 1.4}, {5, 1.25}};

struct Options {
  std::string program, learn, test, state = "users.txt";
  Images images;
  std::size_t users = 5;
  std::vector<std::size_t> sizes{2, 3, 5};
  bool quick = false;
};

std::vector<User> random_users(std::size_t count, std::size_t size, int outputs) {
  std::mt19937_64 random(100 + size);
  std::vector<User> users;
  while (users.size() < count) {
    std::vector<int> all(static_cast<std::size_t>(outputs));
    std::iota(all.begin(), all.end(), 0);
    for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random() % i]);
    User user(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(size));
    std::ranges::sort(user);
    if (std::ranges::find(users, user) == users.end()) users.push_back(user);
  }
  return users;
}

std::string text(const User& user) { return fmt::format("{}", fmt::join(user, ",")); }

class Experiment {
 public:
  Experiment(const Options& options, Results results)
      : options_(options), results_(std::move(results)) {}

  Status open() {
    auto program = program::load(options_.program);
    if (!program) return program.error();
    graph_ = prune::without_copies(program->graph);
    channels_ = prune::find_channels(graph_);
    outputs_ = graph_.tensors[static_cast<std::size_t>(graph_.output)].shape.c;
    if (outputs_ < 10) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("has {} classes; users are drawn from 10 or more", outputs_),
                  options_.program);
    }
    const ir::Shape& shape = graph_.tensors[static_cast<std::size_t>(graph_.input)].shape;
    for (auto [path, set] : {std::pair{&options_.learn, &learn_}, {&options_.test, &test_}}) {
      auto opened = images::Dataset::open(*path, shape);
      if (!opened) return opened.error();
      if (!opened->has_labels()) return fail(ErrorCode::kUsage, "has no labels", *path);
      set->emplace(std::move(*opened));
    }
    return {};
  }

  /// The rows that matter most first, for every user; then the next.
  Status measure() {
    const std::size_t rows = options_.quick ? 1 : kRows.size();
    const std::size_t total = options_.sizes.size() * options_.users * (1 + rows * kCuts.size());
    std::size_t done = 0;
    for (const std::size_t first : {std::size_t{0}, std::size_t{1}}) {
      const std::size_t last = first == 0 ? 1 : rows;
      for (const std::size_t size : options_.sizes) {
        for (const User& user : random_users(options_.users, size, outputs_)) {
          std::optional<Bench> bench;
          std::vector<std::pair<std::string, std::optional<Case>>> cases;
          if (first == 0) cases.emplace_back(kGeneric, std::nullopt);
          for (std::size_t r = first; r < last; ++r) {
            for (const double cut : kCuts) {
              Case which = kRows[r].settings;
              which.cut = cut;
              cases.emplace_back(which.name(), which);
            }
          }
          for (const auto& [name, which] : cases) {
            ++done;
            if (results_.has(text(user), name)) continue;
            if (!bench) {
              auto opened = Bench::open(graph_, channels_, user, *learn_, *test_, options_.images);
              if (!opened) return opened.error();
              bench.emplace(std::move(*opened));
            }
            double value = 0;
            if (which) {
              const auto accuracy = bench->accuracy(*which);
              if (!accuracy) return accuracy.error();
              value = accuracy->value_or(-1);
            } else {
              value = bench->generic();
            }
            if (Status s = results_.add(text(user), name, value); !s) return s;
            fmt::print(stderr, "{}/{}: classes {}, {}: {}\n", done, total, text(user), name,
                       value < 0 ? "cannot be cut so far" : fmt::format("{:.2f} %", 100 * value));
          }
        }
      }
    }
    return {};
  }

  /// Prints the tables; whether the bars are met.
  bool report() const {
    bool met = true;
    const std::size_t rows = options_.quick ? 1 : kRows.size();
    for (const std::size_t size : options_.sizes) {
      const auto users = random_users(options_.users, size, outputs_);
      double generic = 0;
      for (const User& user : users) generic += 100 * results_.at(text(user), kGeneric);
      generic /= static_cast<double>(users.size());
      fmt::print(
          "\n{} users of {} classes, {:.2f} % without pruning; points lost at a MAC cut of\n\n",
          users.size(), size, generic);
      fmt::print("| |");
      for (const double cut : kCuts) fmt::print(" {} |", cut);
      fmt::print(" cut at 1 point |\n|---|");
      for (std::size_t i = 0; i <= kCuts.size(); ++i) fmt::print("---|");
      fmt::print("\n");
      for (std::size_t r = 0; r < rows; ++r) {
        fmt::print("| {} |", kRows[r].title);
        std::vector<std::pair<double, double>> curve;
        for (const double cut : kCuts) {
          Case which = kRows[r].settings;
          which.cut = cut;
          const auto lost = loss(users, which);
          fmt::print(" {} |", lost ? fmt::format("{:.2f}", *lost) : "-");
          if (lost) curve.emplace_back(cut, *lost);
        }
        const double cut = cut_at(curve, 1);
        fmt::print(" {:.2f} |\n", cut);
        const auto bar = kBars.find(size);
        if (r == 0 && bar != kBars.end() && cut < bar->second) {
          fmt::print(stderr, "{} classes: the cut at 1 point is {:.2f}; the bar is {}\n", size, cut,
                     bar->second);
          met = false;
        }
      }
    }
    return met;
  }

 private:
  /// Points lost on average; nothing where some user's network cannot be cut so far.
  [[nodiscard]] std::optional<double> loss(const std::vector<User>& users,
                                           const Case& which) const {
    double sum = 0;
    for (const User& user : users) {
      const double value = results_.at(text(user), which.name());
      if (value < 0) return {};
      sum += 100 * (results_.at(text(user), kGeneric) - value);
    }
    return sum / static_cast<double>(users.size());
  }

  const Options& options_;
  Results results_;
  ir::QuantGraph graph_;
  prune::Channels channels_;
  int outputs_ = 0;
  std::optional<images::Dataset> learn_, test_;
};

int complain(const Diagnostic& diagnostic) {
  fmt::print(stderr, "users_check: {}\n", diagnostic.text());
  return 2;
}

int run(const Options& options) {
  auto results =
      Results::open(options.state, fmt::format("{} learn {} test {} a class", options.program,
                                               options.images.learn, options.images.per_class));
  if (!results) return complain(results.error());
  Experiment experiment(options, std::move(*results));
  if (const Status s = experiment.open(); !s) return complain(s.error());
  if (const Status s = experiment.measure(); !s) return complain(s.error());
  return experiment.report() ? 0 : 1;
}

}  // namespace
}  // namespace espalier::users

int main(int argc, char** argv) {
  CLI::App app(
      "Personalises a network for random users and prints what accuracy each MAC cut costs.\n"
      "Measurements go into a file as they come; a run that was cut goes on from there.\n"
      "Exit code 1 where Taylor with all corrections misses a bar.");
  espalier::users::Options options;
  app.add_option("PROGRAM", options.program, "program file that `espalier compile` wrote")
      ->required();
  app.add_option("--learn", options.learn, "labelled images to learn from")->required();
  app.add_option("--test", options.test, "labelled images to test on")->required();
  app.add_option("--state", options.state, "file of measurements")->capture_default_str();
  app.add_option("--users", options.users, "users of each number of classes")
      ->check(CLI::Range(1, 40))
      ->capture_default_str();
  app.add_option("--sizes", options.sizes, "numbers of classes")
      ->delimiter(',')
      ->check(CLI::Range(2, 5));
  app.add_option("--count", options.images.learn, "images to learn from")->capture_default_str();
  app.add_option("--per-class", options.images.per_class, "images to test on, of each class")
      ->capture_default_str();
  app.add_flag("--quick", options.quick, "the first row of each table only");
  CLI11_PARSE(app, argc, argv);
  return espalier::users::run(options);
}
