// The learning curve as a picture.

#include <fmt/format.h>

#include <algorithm>

#include "automask/train.hpp"

namespace espalier::automask {
namespace {

constexpr double kWidth = 640, kHeight = 320, kLeft = 60, kRight = 580, kTop = 40, kBottom = 270;

/// One line over the epochs, its axis from low to high.
std::string line(const std::vector<double>& values, double low, double high, const char* colour) {
  std::string points;
  const double last = std::max<double>(1, static_cast<double>(values.size()) - 1);
  const double range = high > low ? high - low : 1;
  for (std::size_t i = 0; i < values.size(); ++i) {
    points +=
        fmt::format("{:.1f},{:.1f} ", kLeft + (kRight - kLeft) * static_cast<double>(i) / last,
                    kBottom - (kBottom - kTop) * (values[i] - low) / range);
  }
  return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n",
                     points, colour);
}

std::string label(double x, double y, const std::string& text, const char* anchor,
                  const char* colour) {
  return fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\" fill=\"{}\">{}</text>\n", x, y,
                     anchor, colour, text);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

}  // namespace

std::string to_svg(const Trained& trained, const std::string& title) {
  std::vector<double> loss{trained.before.held_loss};
  std::vector<double> accuracy{100 * trained.before.held_accuracy};
  for (const Epoch& epoch : trained.epochs) {
    loss.push_back(epoch.held_loss);
    accuracy.push_back(100 * epoch.held_accuracy);
  }
  const auto [low_loss, high_loss] = std::ranges::minmax(loss);
  const auto [low, high] = std::ranges::minmax(accuracy);
  constexpr const char *kBlue = "#1f77b4", *kRed = "#d62728", *kBlack = "#333";
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" "
      "fill=\"white\"/>\n",
      kWidth, kHeight);
  svg += label(kLeft, 20, escaped(title), "start", kBlack);
  svg += fmt::format("<path d=\"M{0} {2} V{3} H{1} V{2}\" fill=\"none\" stroke=\"{4}\"/>\n", kLeft,
                     kRight, kTop, kBottom, kBlack);
  svg += line(accuracy, low, high, kBlue) + line(loss, low_loss, high_loss, kRed);
  svg += label(kLeft - 6, kTop + 4, fmt::format("{:.1f} %", high), "end", kBlue) +
         label(kLeft - 6, kBottom, fmt::format("{:.1f} %", low), "end", kBlue) +
         label(kRight + 6, kTop + 4, fmt::format("{:.3f}", high_loss), "start", kRed) +
         label(kRight + 6, kBottom, fmt::format("{:.3f}", low_loss), "start", kRed);
  svg += label(kLeft, kBottom + 20, "0", "middle", kBlack) +
         label(kRight, kBottom + 20, fmt::format("{} epochs", trained.epochs.size()), "middle",
               kBlack) +
         label(kLeft, kBottom + 40, "accuracy on images held back", "start", kBlue) +
         label(kRight, kBottom + 40, "loss on images held back", "end", kRed);
  return svg + "</svg>\n";
}

}  // namespace espalier::automask
