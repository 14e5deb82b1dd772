#include "cli/calibration_option.hpp"

#include <CLI/CLI.hpp>

#include "cli/common.hpp"
#include "cli/file_options.hpp"

namespace espalier::cli {

void CalibrationOption::add(CLI::App& command) {
  command.add_option("--calibrate", images_, "images to quantise a float model with")
      ->check(reads())
      ->type_name("IMAGES");
  command.add_option("--count", count_, "how many of them (200, or as many as there are)")
      ->type_name("N")
      ->transform(whole(1, 1'000'000));
  command.add_option("--mean", mean_, "of each channel, as in 0.485,0.456,0.406")
      ->type_name("m,m,m");
  command.add_option("--std", std_, "of each channel, as in 0.229,0.224,0.225")->type_name("s,s,s");
}

Result<flows::CalibrationOptions> CalibrationOption::read() const {
  flows::CalibrationOptions options;
  options.images = images_;
  options.count = count_;
  for (const auto& [name, text, into] :
       {std::tuple("--mean", &mean_, &options.mean), std::tuple("--std", &std_, &options.std)}) {
    if (text->empty()) continue;
    auto values = parse_list(name, *text);
    if (!values) return values.error();
    *into = std::move(*values);
  }
  return options;
}

}  // namespace espalier::cli
