// sim_bench [KEPT]: ResNet-20's shape with random weights on the `edge` machine, checked, beside a
// fixed piece of work in the same process. Exit code 1 where the machine is slower by it than was
// kept.

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "compiler/compiler.hpp"
#include "golden/golden.hpp"
#include "graphs.hpp"
#include "runtime/device.hpp"
#include "tests/speed/judge.hpp"
#include "tests/speed/reference.hpp"

using namespace espalier;

namespace {

constexpr double kKept = 1.7;     ///< cycles in a reference step; docs/simulation.md, Speed
constexpr double kMargin = 0.25;  ///< of that: what processors and compilers differ by
constexpr int kRounds = 5, kSteps = 60'000;

double cpu_now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

int complain(const char* what) {
  std::fprintf(stderr, "sim_bench: %s\n", what);
  return 2;
}

double steps_per_second() {
  const double start = cpu_now();
  const volatile std::uint32_t sum = speed::reference_steps(kSteps);
  (void)sum;
  return kSteps / (cpu_now() - start);
}

}  // namespace

int main(int argc, char** argv) {
  const double kept = argc > 1 ? std::strtod(argv[1], nullptr) : kKept;
  if (argc > 2 || !(kept > 0)) return complain("usage: sim_bench [KEPT], above 0");
  const ir::QuantGraph graph = tests::cifar_resnet(3);
  const auto program = compiler::compile(graph, *isa::find_config("edge"));
  if (!program) return complain(program.error().text().c_str());
  auto devices = runtime::open(*program, runtime::DeviceKind::kRtl, {});
  if (!devices) return complain(devices.error().text().c_str());
  const auto image = tests::random_image(graph, 1);
  const auto golden = golden::run(graph, image);

  std::vector<speed::Round> rounds;
  for (int i = 0; i < kRounds; ++i) {
    const auto runs = (*devices)[0]->run(image);
    if (!runs) return complain(runs.error().text().c_str());
    const runtime::Execution& run = runs->front();
    if (run.output != golden[static_cast<std::size_t>(graph.output)])
      return complain("the output differs from golden");
    rounds.push_back(
        {static_cast<double>(run.timing->cycles) / run.timing->cpu_seconds, steps_per_second()});
    std::printf("%llu cycles, %.0f thousand a second of CPU time; reference %.0f thousand steps\n",
                static_cast<unsigned long long>(run.timing->cycles),
                rounds.back().cycles_per_second * 1e-3, rounds.back().steps_per_second * 1e-3);
  }
  const speed::Verdict verdict = speed::judge(rounds, kept, kMargin);
  std::printf("%s\n", verdict.text.c_str());
  return verdict.good ? 0 : 1;
}
