// shapes_draw: writes sets of drawn images for the demo.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "examples/shapes/files.hpp"

namespace {

// Reports a failed step on stderr.
bool done(const espalier::Status& status) {
  if (!status) {
    std::fprintf(stderr, "shapes_draw: %s\n", status.error().text().c_str());
  }
  return status.ok();
}

}  // namespace

int main(int argc, char** argv) {
  namespace shapes = espalier::shapes;
  CLI::App app(
      "Draws 32 x 32 colour images of ten shapes amid clutter: circle, ring, crescent, heart,\n"
      "square, triangle, hexagon, star, cross, arrow. The same seed gives the same images on\n"
      "every machine; of each ten in a row, every class has one.");
  std::uint64_t count = 100;
  std::uint64_t seed = 1;
  std::string records;
  std::string classes;
  std::string sheet;
  app.add_option("-n,--count", count, "images to draw")
      ->check(CLI::Range(std::uint64_t{1}, shapes::kMaxCount))
      ->capture_default_str();
  app.add_option("-s,--seed", seed, "which endless set of images")->capture_default_str();
  app.add_option("-o,--output", records, "write the images here, in CIFAR-10's binary format")
      ->type_name("FILE.bin");
  app.add_option("--classes", classes, "write the class names here, one a line")->type_name("FILE");
  app.add_option("--sheet", sheet, "write a contact sheet of the first 1,000 images here")
      ->type_name("FILE.png");
  CLI11_PARSE(app, argc, argv);

  if (records.empty() && classes.empty() && sheet.empty()) {
    std::fprintf(stderr, "shapes_draw: nothing to write; give -o, --classes or --sheet\n");
    return 2;
  }
  const bool ok = (records.empty() || done(shapes::write_records(records, seed, count))) &&
                  (classes.empty() || done(shapes::write_class_names(classes))) &&
                  (sheet.empty() || done(shapes::write_sheet(sheet, seed, count)));
  return ok ? 0 : 1;
}
