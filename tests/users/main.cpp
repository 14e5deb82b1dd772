// Personalises a network for random users in every way that is compared, and counts right answers.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <random>

#include "program/program.hpp"
#include "tests/users/cases.hpp"
#include "tests/users/table.hpp"

namespace espalier::users {
namespace {

const std::vector<double> kCuts{1.25, 1.5, 2, 3};

/// What is compared, cuts aside; the main one first.
const std::vector<Case> kRows{
    {1, "taylor", "all", 1},  {1, "taylor", "fold", 1},   {1, "taylor", "none", 1},
    {1, "plain", "all", 1},   {1, "magnitude", "all", 1}, {1, "activation", "all", 1},
    {1, "random", "all", 1},  {1, "taylor", "all", 4},    {1, "taylor", "all", 8},
    {1, "taylor", "all", 16},
};

struct Options {
  std::string program, learn, test, state = "users.csv", from, output;
  Images images;
  std::size_t users = 5;
  std::vector<std::size_t> sizes{2, 3, 5};
  int jobs = 2;
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

bool complain(const Diagnostic& diagnostic) {
  fmt::print(stderr, "users_check: {}\n", diagnostic.text());
  return false;
}

/// A user, and ways to prune for it that are measured together.
struct Part {
  std::size_t user = 0;
  std::vector<Case> cases;
};

class Experiment {
 public:
  explicit Experiment(const Options& options) : options_(options) {}

  Status open() {
    auto program = program::load(options_.program);
    if (!program) return program.error();
    graph_ = masks::without_copies(program->graph);
    channels_ = masks::find_channels(graph_);
    const ir::Shape& out = graph_.tensors[static_cast<std::size_t>(graph_.output)].shape;
    if (out.c < 10) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("has {} classes; users are drawn from 10 or more", out.c),
                  options_.program);
    }
    const ir::Shape& shape = graph_.tensors[static_cast<std::size_t>(graph_.input)].shape;
    for (auto [path, set] : {std::pair{&options_.learn, &learn_}, {&options_.test, &test_}}) {
      auto opened = images::Dataset::open(*path, shape);
      if (!opened) return opened.error();
      if (!opened->has_labels()) return fail(ErrorCode::kUsage, "has no labels", *path);
      set->emplace(std::move(*opened));
    }
    const std::string settings =
        fmt::format("{} {:016x}, learn {}, test {} a class", graph_.name,
                    masks::fingerprint(graph_), options_.images.learn, options_.images.per_class);
    if (!options_.from.empty() && !std::filesystem::exists(options_.state)) {
      const auto earlier = Results::open(options_.from, settings, Results::Use::kRead);
      if (!earlier) {
        fmt::print(stderr, "users_check: begins anew: {}\n", earlier.error().text());
      } else if (Status s = earlier->save(options_.state); !s) {
        return s.error();
      }
    }
    auto results = Results::open(options_.state, settings);
    if (!results) return results.error();
    results_.emplace(std::move(*results));
    plan(out.c);
    return {};
  }

  /// Measures what is still to do, in several processes.
  Status measure() {
    const auto taken = shared_flags(parts_.size());
    if (taken == nullptr) return fail(ErrorCode::kIo, "cannot be shared", "memory");
    std::vector<pid_t> children;
    for (int job = 0; job < options_.jobs; ++job) {
      const pid_t child = fork();
      if (child < 0) return fail(ErrorCode::kIo, "cannot be started", "a process");
      if (child == 0) _exit(work(static_cast<std::size_t>(job), taken.get()) ? 0 : 2);
      children.push_back(child);
    }
    bool good = true;
    for (const pid_t child : children) {
      int status = 0;
      good = waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
             good;
    }
    if (!good) return fail(ErrorCode::kDevice, "ended early; run it again to go on", "a process");
    return {};
  }

  /// What the processes measured, in order, as a file. Errors: those of Results.
  Status save() const {
    const auto whole = Results::open(options_.state, results_->settings());
    if (!whole) return whole.error();
    return options_.output.empty() ? Status() : whole->save(options_.output);
  }

 private:
  using Flags = std::unique_ptr<std::atomic<bool>, std::function<void(std::atomic<bool>*)>>;
  /// Flags that processes forked from here share.
  static Flags shared_flags(std::size_t count) {
    static_assert(std::atomic<bool>::is_always_lock_free);
    const std::size_t bytes = std::max<std::size_t>(count, 1) * sizeof(std::atomic<bool>);
    void* const at =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return nullptr;
    return {new (at) std::atomic<bool>[count], [bytes](void* p) { munmap(p, bytes); }};
  }

  /// All rows for a user of each size, then for the next: rows have users evenly at any time.
  void plan(int outputs) {
    for (std::size_t u = 0; u < options_.users; ++u) {
      for (const std::size_t size : options_.sizes) {
        users_.push_back(random_users(options_.users, size, outputs)[u]);
        for (std::size_t r = 0; r < (options_.quick ? 1 : kRows.size()); ++r) {
          Part part{users_.size() - 1, {}};
          if (r == 0) part.cases.push_back(kGeneric);
          for (const double cut : kCuts) {
            part.cases.push_back(kRows[r]);
            part.cases.back().cut = cut;
          }
          const User& user = users_.back();
          std::erase_if(part.cases, [&](const Case& c) { return results_->has(user, c); });
          if (!part.cases.empty()) parts_.push_back(std::move(part));
        }
      }
    }
  }

  /// One process of several: every so many-th user, then what others have not begun.
  bool work(std::size_t job, std::atomic<bool>* taken) {
    const auto jobs = static_cast<std::size_t>(options_.jobs);
    std::vector<std::size_t> order(parts_.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_partition(order,
                                  [&](std::size_t p) { return parts_[p].user % jobs == job; });
    std::optional<Bench> bench;
    std::optional<std::size_t> of;
    for (const std::size_t p : order) {
      if (taken[p].exchange(true)) continue;
      const User& user = users_[parts_[p].user];
      if (of != parts_[p].user) {
        auto opened = Bench::open(graph_, channels_, user, *learn_, *test_, options_.images);
        if (!opened) return complain(opened.error());
        bench.emplace(std::move(*opened));
        of = parts_[p].user;
      }
      for (const Case& which : parts_[p].cases) {
        const auto right = bench->right(which);
        if (!right) return complain(right.error());
        if (Status s = results_->add(user, which, *right); !s) return complain(s.error());
      }
      fmt::print(stderr, "{} of {}: classes {}, {}, {}, {}\n", p + 1, parts_.size(),
                 fmt::join(user, ","), parts_[p].cases.back().by, parts_[p].cases.back().correct,
                 parts_[p].cases.back().align);
    }
    return true;
  }

  const Options& options_;
  std::optional<Results> results_;
  ir::QuantGraph graph_;
  masks::Channels channels_;
  std::optional<images::Dataset> learn_, test_;
  std::vector<User> users_;
  std::vector<Part> parts_;  ///< still to do
};

int run(const Options& options) {
  Experiment experiment(options);
  for (const auto step : {&Experiment::open, &Experiment::measure}) {
    if (const Status s = (experiment.*step)(); !s) return complain(s.error()), 2;
  }
  if (const Status s = experiment.save(); !s) return complain(s.error()), 2;
  return 0;
}

}  // namespace
}  // namespace espalier::users

int main(int argc, char** argv) {
  CLI::App app(
      "Personalises a network for random users and counts right answers at each MAC cut.\n"
      "Measurements go into a file as they come; a run that was cut goes on from there.");
  espalier::users::Options options;
  app.add_option("PROGRAM", options.program, "program file that `espalier compile` wrote")
      ->required();
  app.add_option("--learn", options.learn, "labelled images to learn from")->required();
  app.add_option("--test", options.test, "labelled images to test on")->required();
  app.add_option("--state", options.state, "file of measurements")->capture_default_str();
  app.add_option("--from", options.from,
                 "earlier measurements to begin with where there is no such file yet");
  app.add_option("-o,--output", options.output, "file for the finished table, in order");
  app.add_option("-j,--jobs", options.jobs, "processes")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
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
