#include "report/degrade.hpp"

#include <cmath>

#include "report/json.hpp"
#include "report/text.hpp"

namespace espalier::report {
namespace {

std::vector<std::string> kinds(const flows::DegradeOptions& options) {
  std::vector<std::string> texts;
  for (const images::Degradation& kind : options.kinds) texts.push_back(kind.text());
  return texts;
}

}  // namespace

Json to_json(const flows::Degraded& made, const flows::DegradeOptions& options) {
  return Json{{"images", made.images},
              {"output", options.output},
              {"kinds", kinds(options)},
              {"seed", options.seed},
              {"mean_change", made.mean_change},
              {"psnr_db", std::isfinite(made.psnr()) ? Json(made.psnr()) : Json()}};
}

std::string text(const flows::Degraded& made, const flows::DegradeOptions& options) {
  Page page;
  page.add("wrote      {}: {} pictures, {}\n", printable(options.output), grouped(made.images),
           fmt::join(kinds(options), ", then "));
  page.add("change     {:.2f} of 255 a value in the mean", made.mean_change);
  if (std::isfinite(made.psnr())) page.add(", PSNR {:.1f} dB", made.psnr());
  page.add("\n");
  return std::move(page).text();
}

}  // namespace espalier::report
