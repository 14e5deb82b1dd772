#include "report/lockstep.hpp"

#include <algorithm>

#include "report/json.hpp"
#include "report/text.hpp"

namespace espalier::report {
namespace {

constexpr std::size_t kChainShown = 12;  // instructions of a chain

}  // namespace

Json to_json(const flows::LockstepRun& run) {
  Json json{{"instructions", run.result.instructions},
            {"bytes", run.result.bytes},
            {"difference", nullptr}};
  if (const auto& d = run.result.difference) {
    json["difference"] = {{"image", run.image},
                          {"instruction", d->instruction},
                          {"disassembly", d->disassembly},
                          {"layer", d->layer},
                          {"cycle", d->cycle},
                          {"what", d->what},
                          {"chain", d->chain},
                          {"missing_dependency", d->hazard.empty() ? Json() : Json(d->hazard)},
                          {"wave", d->wave.empty() ? Json() : Json(d->wave)}};
  }
  return json;
}

std::string text(const flows::LockstepRun& run) {
  Page page;
  const auto& difference = run.result.difference;
  page.line("lockstep", fmt::format("{} instructions retired, {} bytes read and written: {}",
                                    grouped(run.result.instructions), grouped(run.result.bytes),
                                    difference ? "then a difference" : "all equal"));
  if (!difference) return std::move(page).text();
  page.add("\nfirst difference: image {}, instruction {}, layer {}, cycle {}\n", run.image,
           difference->instruction, printable(difference->layer), grouped(difference->cycle));
  page.add("  {}\n  {}\n", difference->disassembly, printable(difference->what));
  if (!difference->chain.empty()) page.add("its data come from\n");
  for (std::size_t i = 0; i < std::min(kChainShown, difference->chain.size()); ++i)
    page.add("  {}\n", difference->chain[i]);
  if (difference->chain.size() > kChainShown)
    page.add("  and {} more\n", difference->chain.size() - kChainShown);
  if (!difference->hazard.empty())
    page.add("the program lacks a dependency\n  {}\n", difference->hazard);
  if (!difference->wave.empty()) page.line("wave", difference->wave);
  return std::move(page).text();
}

}  // namespace espalier::report
