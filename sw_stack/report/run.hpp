#pragma once
// What running images tells.

#include <cstdint>
#include <optional>
#include <string>

#include "flows/run.hpp"
#include "report/json_fwd.hpp"
#include "report/text.hpp"

namespace espalier::report {

/// MACs without padding / (L^2 x cycles).
double utilisation(std::uint64_t macs, int lanes, std::uint64_t cycles);

/// What cycles an image take at the run's clock: `mhz`, `ms_per_image` and `images_per_second`, the
/// last two null without cycles; a line of text.
void add_time(Json& json, const flows::Run& run, std::optional<double> cycles);
void add_time(Page& page, const flows::Run& run, double cycles);
/// Lines of a report: what an overlay leaves, where there is one.
void add_overlay(Page& page, const flows::Run& run);
/// What packing took, by mask, where something packed.
void add_packings(Page& page, const flows::Run& run);

/// All counts are sums over the images, save those named by the image. What a device does not
/// measure is null. The whole result has `lockstep` and `float` too, where they were asked for.
Json to_json(const flows::Run& run);
Json to_json(const flows::RunResult& result);
/// The best classes of every image.
Json answers_json(const flows::RunResult& result);
/// With `layers` those of each layer too.
std::string text(const flows::RunResult& result, bool layers);

}  // namespace espalier::report
