#include "report/score.hpp"

#include "report/json.hpp"
#include "report/text.hpp"

namespace espalier::report {
namespace {

std::size_t channels(const flows::Scored& scored) {
  std::size_t count = 0;
  for (const flows::Scored::Tensor& tensor : scored.tensors) count += tensor.scores.size();
  return count;
}

runtime::Comparison both(const flows::Scored& scored) {
  runtime::Comparison all = scored.forward_check;
  all.merge(scored.backward_check);
  return all;
}

}  // namespace

Json to_json(const flows::Scored& scored, bool checked) {
  Json json{{"images", scored.images},
            {"classes", scored.classes},
            {"tensors", scored.tensors.size()},
            {"channels", channels(scored)},
            {"measured", scored.measured},
            {"forward_cycles", or_null(scored.forward)},
            {"backward_cycles", or_null(scored.backward)}};
  const runtime::Comparison all = both(scored);
  if (checked) json["checked"] = {{"values", all.values}, {"differ", all.mismatches}};
  return json;
}

std::string text(const flows::Scored& scored, bool checked, std::string_view device) {
  Page page;
  page.add("scored     {} images, {} channels in {} tensors\n", scored.images, channels(scored),
           scored.tensors.size());
  if (scored.forward) {
    page.add("forward    {} cycles an image{}\n", grouped(*scored.forward),
             scored.measured ? "" : ", by the timing model");
    page.add("backward   {} cycles an image, {:.1f} % of forward\n", grouped(*scored.backward),
             100 * static_cast<double>(*scored.backward) / static_cast<double>(*scored.forward));
  }
  if (!checked) return std::move(page).text();
  const runtime::Comparison all = both(scored);
  if (all.mismatches == 0) {
    page.add("check      {} values forward, {} backward: all equal to golden\n",
             grouped(scored.forward_check.values), grouped(scored.backward_check.values));
  } else {
    page.add("check      {} of {} values differ from golden\n", grouped(all.mismatches),
             grouped(all.values));
    if (all.first) page.add("           {}\n", printable(all.first->text(device)));
  }
  return std::move(page).text();
}

std::string to_csv(const flows::Scored& scored) {
  std::string text = "tensor,channel,score\n";
  for (const flows::Scored::Tensor& tensor : scored.tensors) {
    for (std::size_t c = 0; c < tensor.scores.size(); ++c)
      text += fmt::format("\"{}\",{},{}\n", tensor.name, c, tensor.scores[c]);
  }
  return text;
}

}  // namespace espalier::report
