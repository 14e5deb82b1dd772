#include "report/personalise.hpp"

#include <fmt/ranges.h>

#include <algorithm>

#include "report/json.hpp"
#include "report/text.hpp"

namespace espalier::report {
namespace {

using flows::Personalised;
using flows::PersonaliseOptions;

std::string device_text(const PersonaliseOptions& options) {
  std::string text(runtime::name(options.device));
  if (options.device == runtime::DeviceKind::kFpga) text += ":" + options.fpga.uio;
  return text;
}

/// Text of an SVG element.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  }
  return out;
}

}  // namespace

Json to_json(const Personalised& r, const PersonaliseOptions& options) {
  Json json{{"network", r.network},
            {"classes", r.classes},
            {"by", flows::name(options.by)},
            {"correct", personal::name(options.correct)},
            {"scored_images", r.scored},
            {"resumed_from", r.resumed},
            {"images_until_switch", r.until_switch},
            {"held_images", r.held},
            {"accuracy", {{"generic", r.generic}, {"personal", r.personal}}},
            {"macs_share", r.macs_share},
            {"forward_cycles", or_null(r.forward)},
            {"backward_cycles_estimate", or_null(r.backward)},
            {"personal_cycles", or_null(r.pruned)},
            {"cycles_share", r.forward ? Json(ratio(*r.pruned, *r.forward)) : Json()},
            {"scoring_share", or_null(r.scoring_share())},
            {"device", device_text(options)},
            {"device_images", r.answered},
            {"device_cycles", or_null(r.cycles)},
            {"served_images", r.served},
            {"served_accuracy", r.judged > 0 ? Json(r.served_right) : Json()},
            {"low_confidence_share", or_null(r.low_share)},
            {"returned_at", or_null(r.returned)},
            {"mask", options.mask},
            {"program", options.personal},
            {"patch_bytes", or_null(r.patch)},
            {"layers", Json::array()}};
  for (const auto& layer : r.layers) {
    json["layers"].push_back(
        {{"name", layer.name}, {"live", layer.live}, {"channels", layer.channels}});
  }
  return json;
}

std::string text(const Personalised& r, const PersonaliseOptions& options) {
  Page page;
  Table table({"layer", "live", "channels"});
  for (const auto& layer : r.layers)
    table.add({printable(layer.name), std::to_string(layer.live), std::to_string(layer.channels)});
  page.add("{} for classes {}, by {}, {} images", printable(r.network), fmt::join(r.classes, ", "),
           flows::name(options.by), r.scored);
  if (r.resumed > 0) page.add(" ({} of them from {})", r.resumed, options.scores);
  page.add("\n\n");
  page.add(table);
  page.add("\n  {} {:.2f} % before, {:.2f} % after, on {} images held back\n",
           r.predicted ? "agreement" : "accuracy ", 100 * r.generic, 100 * r.personal, r.held);
  page.add("  MACs      {:.1f} %\n", 100 * r.macs_share);
  if (r.forward) {
    page.add("  cycles    {} of {} ({:.1f} %), by the timing model\n", grouped(*r.pruned),
             grouped(*r.forward), 100 * ratio(*r.pruned, *r.forward));
  }
  page.add("  switch    after {} images", r.until_switch);
  if (const auto share = r.scoring_share()) {
    page.add("; scores took {:.1f} % of the cycles until then (a backward pass about {})",
             100 * *share, grouped(*r.backward));
  }
  page.add("\n");
  if (r.served > 0) {
    page.add("  since     {} images", r.served);
    if (r.judged > 0) {
      page.add("; of {} with labels of these classes {:.2f} % right", r.judged,
               100 * r.served_right);
    }
    if (r.returned) page.add("; the generic model again from image {} on", *r.returned);
    if (r.low_share) page.add("; {:.0f} % of the last answers unsure", 100 * *r.low_share);
    page.add("\n");
  }
  page.add("  mask      {}\n  program   {}: outputs are classes {}\n", options.mask,
           options.personal, fmt::join(r.classes, ", "));
  if (r.patch) page.add("  patch     {}, {}\n", options.patch, bytes_text(*r.patch));
  return std::move(page).text();
}

std::string to_svg(const Personalised& r) {
  constexpr int kRow = 16, kLeft = 260, kWide = 400, kTop = 34;
  std::size_t most = 1;
  for (const auto& layer : r.layers) most = std::max(most, layer.channels);
  const int height = kTop + kRow * static_cast<int>(r.layers.size()) + 10;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"11\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n"
      "<text x=\"10\" y=\"20\" font-size=\"13\">{2}: live channels for classes {3}</text>\n",
      kLeft + kWide + 90, height, escaped(r.network), fmt::join(r.classes, ", "));
  int y = kTop;
  for (const auto& layer : r.layers) {
    const auto width = [&](std::size_t count) { return kWide * ratio(count, most); };
    svg += fmt::format(
        "<text x=\"{0}\" y=\"{1}\" text-anchor=\"end\">{2}</text>"
        "<rect x=\"{3}\" y=\"{4}\" width=\"{5:.1f}\" height=\"{6}\" fill=\"#d8dde3\"/>"
        "<rect x=\"{3}\" y=\"{4}\" width=\"{7:.1f}\" height=\"{6}\" fill=\"#2f7d4f\"/>"
        "<text x=\"{8:.1f}\" y=\"{1}\">{9} of {10}</text>\n",
        kLeft - 8, y + kRow - 4, escaped(layer.name), kLeft, y + 2, width(layer.channels), kRow - 4,
        width(layer.live), kLeft + width(layer.channels) + 6, layer.live, layer.channels);
    y += kRow;
  }
  return svg + "</svg>\n";
}

std::string answers_csv(const Personalised& r) {
  std::string text = "image,answer,model\n";
  for (const Personalised::Answer& a : r.answers)
    text += fmt::format("{},{},{}\n", a.image, a.answer, a.personal ? "personal" : "generic");
  return text;
}

}  // namespace espalier::report
