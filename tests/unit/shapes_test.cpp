// The demo's image drawer: the same bytes everywhere, balanced labels, shapes that differ.

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "catch.hpp"
#include "examples/shapes/draw.hpp"
#include "examples/shapes/files.hpp"
#include "examples/shapes/outline.hpp"
#include "seed.hpp"

namespace {

namespace shapes = espalier::shapes;

// FNV-1a, 64 bits.
std::uint64_t hash(const std::vector<shapes::Drawing>& drawings) {
  std::uint64_t state = 0xcbf29ce484222325;
  const auto add = [&](std::uint8_t byte) { state = (state ^ byte) * 0x100000001b3; };
  for (const shapes::Drawing& drawing : drawings) {
    add(drawing.label);
    std::for_each(drawing.planes.begin(), drawing.planes.end(), add);
  }
  return state;
}

std::vector<shapes::Drawing> draw_set(std::uint64_t seed, std::uint64_t count) {
  std::vector<shapes::Drawing> drawings;
  for (std::uint64_t i = 0; i < count; ++i) {
    drawings.push_back(shapes::draw(seed, i));
  }
  return drawings;
}

// A file that is removed when the test is over.
class TemporaryFile {
 public:
  TemporaryFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "shapes_XXXXXX").string();
    const int handle = mkstemp(pattern.data());
    REQUIRE(handle >= 0);
    close(handle);
    path_ = pattern;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string path_;
};

constexpr int kGrid = 64;

std::vector<bool> coverage(shapes::Shape shape, double reach) {
  std::vector<bool> cells;
  for (int i = 0; i < kGrid * kGrid; ++i) {
    const double u = reach * ((i % kGrid + 0.5) / kGrid * 2.0 - 1.0);
    const double v = reach * ((i / kGrid + 0.5) / kGrid * 2.0 - 1.0);
    cells.push_back(shapes::inside(shape, u, v));
  }
  return cells;
}

}  // namespace

TEST_CASE("shapes: a seed gives the same bytes on every machine") {
  std::vector<shapes::Drawing> drawings = draw_set(1, 100);
  CHECK(hash(drawings) == 0x798b0f074c50e155);
  SECTION("and the hash would notice one changed bit") {
    const std::uint64_t before = hash(drawings);
    drawings[57].planes[1234] ^= 1;
    CHECK(hash(drawings) != before);
  }
}

TEST_CASE("shapes: an image depends on its seed and index only") {
  const shapes::Drawing once = shapes::draw(5, 123);
  shapes::draw(6, 7);
  const shapes::Drawing again = shapes::draw(5, 123);
  CHECK(once.label == again.label);
  CHECK(once.planes == again.planes);
  std::set<std::array<std::uint8_t, shapes::kImageBytes>> seen;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (std::uint64_t index = 0; index < 10; ++index) {
      seen.insert(shapes::draw(seed, index).planes);
    }
  }
  CHECK(seen.size() == 100);
}

TEST_CASE("shapes: each ten in a row hold every class once, in an order that changes") {
  const std::uint64_t seed = espalier::tests::seed();
  INFO("seed " << seed);
  std::set<std::string> orders;
  for (std::uint64_t group = 0; group < 50; ++group) {
    std::string labels;
    for (std::uint64_t i = 0; i < shapes::kClasses; ++i) {
      labels.push_back(static_cast<char>(shapes::label_of(seed, group * shapes::kClasses + i)));
    }
    orders.insert(labels);
    const std::set<char> distinct(labels.begin(), labels.end());
    CHECK(distinct.size() == shapes::kClasses);
    CHECK(*distinct.rbegin() == shapes::kClasses - 1);
  }
  CHECK(orders.size() > 40);
}

TEST_CASE("shapes: the ten outlines differ, and stay within their circle") {
  std::vector<std::vector<bool>> masks;
  for (int label = 0; label < shapes::kClasses; ++label) {
    const auto shape = static_cast<shapes::Shape>(label);
    INFO(shapes::kClassNames[static_cast<std::size_t>(label)]);
    masks.push_back(coverage(shape, 1.0));
    const auto cells = std::count(masks.back().begin(), masks.back().end(), true);
    CHECK(cells > kGrid * kGrid / 10);
    CHECK(cells < kGrid * kGrid * 8 / 10);
    const std::vector<bool> wide = coverage(shape, 2.0);
    for (int i = 0; i < kGrid * kGrid; ++i) {
      const double u = (i % kGrid + 0.5) / kGrid * 4.0 - 2.0;
      const double v = (i / kGrid + 0.5) / kGrid * 4.0 - 2.0;
      if (u * u + v * v > 1.02) {
        REQUIRE_FALSE(wide[static_cast<std::size_t>(i)]);
      }
    }
  }
  for (std::size_t a = 0; a < masks.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      INFO(shapes::kClassNames[a] << " and " << shapes::kClassNames[b]);
      int different = 0;
      for (std::size_t i = 0; i < masks[a].size(); ++i) {
        different += masks[a][i] != masks[b][i] ? 1 : 0;
      }
      CHECK(different > kGrid * kGrid / 40);
    }
  }
}

TEST_CASE("shapes: a record is a label byte and three planes") {
  const TemporaryFile file;
  REQUIRE(shapes::write_records(file.path(), 9, 25).ok());
  const std::string bytes = file.bytes();
  REQUIRE(bytes.size() == 25 * 3073);
  for (std::size_t i = 0; i < 25; ++i) {
    const shapes::Drawing drawing = shapes::draw(9, i);
    CHECK(static_cast<std::uint8_t>(bytes[i * 3073]) == drawing.label);
    CHECK(std::equal(drawing.planes.begin(), drawing.planes.end(), bytes.begin() + i * 3073 + 1,
                     [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); }));
  }
}

TEST_CASE("shapes: class names are written one a line") {
  const TemporaryFile file;
  REQUIRE(shapes::write_class_names(file.path()).ok());
  CHECK(file.bytes() ==
        "circle\nring\ncrescent\nheart\nsquare\ntriangle\nhexagon\nstar\ncross\narrow\n");
}

TEST_CASE("shapes: a contact sheet is a PNG with a cell for each image") {
  const TemporaryFile file;
  REQUIRE(shapes::write_sheet(file.path(), 1, 21).ok());
  const std::string bytes = file.bytes();
  REQUIRE(bytes.size() > 24);
  CHECK(bytes.substr(1, 3) == "PNG");
  const auto size = [&](std::size_t at) {
    return static_cast<std::uint8_t>(bytes[at]) * 256 + static_cast<std::uint8_t>(bytes[at + 1]);
  };
  CHECK(size(18) == 20 * 66 + 2);
  CHECK(size(22) == 2 * 66 + 2);
}

TEST_CASE("shapes: counts out of range and paths that cannot be written are refused") {
  const std::string nowhere = "/nonexistent/folder/file";
  CHECK(shapes::write_records(nowhere, 1, 0).error().code == espalier::ErrorCode::kRange);
  CHECK(shapes::write_records(nowhere, 1, shapes::kMaxCount + 1).error().code ==
        espalier::ErrorCode::kRange);
  CHECK(shapes::write_sheet(nowhere, 1, 0).error().code == espalier::ErrorCode::kRange);
  CHECK(shapes::write_records(nowhere, 1, 1).error().code == espalier::ErrorCode::kIo);
  CHECK(shapes::write_class_names(nowhere).error().code == espalier::ErrorCode::kIo);
  CHECK(shapes::write_sheet(nowhere, 1, 1).error().code == espalier::ErrorCode::kIo);
}
