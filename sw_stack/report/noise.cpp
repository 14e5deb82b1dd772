#include "report/noise.hpp"

#include <cmath>

#include "report/json.hpp"
#include "report/text.hpp"

namespace espalier::report {

Json to_json(const flows::FloatNoise& noise) {
  Json json;
  json["images"] = noise.images;
  json["top1"] = or_null(noise.top1);
  json["layers"] = Json::array();
  for (const flows::FloatNoise::Layer& layer : noise.layers) {
    const double db = layer.sqnr_db;
    json["layers"].push_back(
        {{"name", layer.name},
         {"op", layer.op},
         {"sqnr_db", std::isfinite(db) ? Json(std::round(db * 100) / 100) : Json()}});
  }
  return json;
}

std::string text(const flows::FloatNoise& noise) {
  Page page;
  page.add("signal to quantisation noise over {} image{}\n", noise.images,
           noise.images == 1 ? "" : "s");
  Table table({"layer", "operator", "dB"});
  for (const flows::FloatNoise::Layer& layer : noise.layers) {
    const double db = layer.sqnr_db;
    table.add(
        {printable(layer.name), layer.op, std::isfinite(db) ? fmt::format("{:.1f}", db) : "-"});
  }
  page.add(table);
  return std::move(page).text();
}

}  // namespace espalier::report
