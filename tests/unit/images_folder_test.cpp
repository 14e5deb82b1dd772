// Folders of PNG and JPEG files, scaling and cropping.

#include <stb/stb_image_write.h>

#include <cmath>
#include <random>

#include "catch.hpp"
#include "images/dataset.hpp"
#include "images/source.hpp"
#include "scratch.hpp"
#include "seed.hpp"

namespace {

using namespace espalier;
using Catch::Contains;
using images::Dataset;
using images::Picture;
using tests::Scratch;

using Pixels = std::vector<std::uint8_t>;

void write_png(const std::string& path, int width, int height, int channels, const Pixels& pixels) {
  REQUIRE(stbi_write_png(path.c_str(), width, height, channels, pixels.data(), 0) != 0);
}

Pixels plain(int width, int height, Pixels colour) {
  Pixels pixels;
  for (int i = 0; i < width * height; ++i)
    pixels.insert(pixels.end(), colour.begin(), colour.end());
  return pixels;
}

}  // namespace

TEST_CASE("folder: flat, in sorted order, without labels") {
  const Scratch scratch;
  write_png(scratch.path("f/b.png"), 9, 7, 3, plain(9, 7, {1, 2, 3}));
  write_png(scratch.path("f/a.PNG"), 5, 5, 1, plain(5, 5, {40}));
  REQUIRE(stbi_write_jpg(scratch.path("f/c.jpeg").c_str(), 16, 16, 3,
                         plain(16, 16, {200, 200, 200}).data(), 95) != 0);
  (void)scratch.write("f/notes.txt", "no picture");
  (void)scratch.write("f/.hidden.png", "no picture");
  const auto set = Dataset::open(scratch.path("f"), {3, 4, 4});
  REQUIRE(set.ok());
  REQUIRE(set->size() == 3);
  CHECK_FALSE(set->has_labels());
  CHECK(set->class_names().empty());
  CHECK_THAT(set->name(0), Catch::EndsWith("a.PNG"));
  CHECK(set->load(0).value() == std::vector<float>(48, 40.0F));  // grey becomes three channels
  const auto image = set->load(1).value();
  CHECK(image[0] == 1.0F);
  CHECK(image[16] == 2.0F);
  CHECK(image[47] == 3.0F);
  const auto jpeg = set->load(2).value();
  for (const float v : jpeg) CHECK(std::abs(v - 200.0F) <= 2.0F);
}

TEST_CASE("folder: sub-folders in sorted order are the labels") {
  const Scratch scratch;
  write_png(scratch.path("f/dog/1.png"), 4, 4, 3, plain(4, 4, {7, 7, 7}));
  write_png(scratch.path("f/cat/2.png"), 4, 4, 4, plain(4, 4, {8, 8, 8, 255}));
  write_png(scratch.path("f/cat/1.png"), 4, 4, 3, plain(4, 4, {9, 9, 9}));
  const auto set = Dataset::open(scratch.path("f"), {3, 2, 2});
  REQUIRE(set.ok());
  REQUIRE(set->size() == 3);
  REQUIRE(set->has_labels());
  CHECK(set->class_names() == std::vector<std::string>{"cat", "dog"});
  CHECK(std::vector<int>{set->label(0), set->label(1), set->label(2)} == std::vector<int>{0, 0, 1});
  CHECK(set->load(0).value()[0] == 9.0F);
  CHECK(set->load(1).value()[0] == 8.0F);
  CHECK(set->load(2).value()[0] == 7.0F);
}

TEST_CASE("folder: what cannot be used is refused with its place") {
  const Scratch scratch;
  std::filesystem::create_directories(scratch.path("empty"));
  CHECK_THAT(Dataset::open(scratch.path("empty"), {3, 4, 4}).error().text(),
             Contains("holds no PNG"));
  write_png(scratch.path("mixed/a.png"), 4, 4, 3, plain(4, 4, {1, 1, 1}));
  CHECK_THAT(Dataset::open(scratch.path("mixed"), {1, 4, 4}).error().text(),
             Contains("3 channels"));
  write_png(scratch.path("mixed/sub/a.png"), 4, 4, 3, plain(4, 4, {1, 1, 1}));
  CHECK_THAT(Dataset::open(scratch.path("mixed"), {3, 4, 4}).error().text(),
             Contains("1 sub-folders"));
  (void)scratch.write("bad/a.png", "this is not a picture");
  (void)scratch.write("bad/b.png", "");
  const auto bad = Dataset::open(scratch.path("bad"), {3, 4, 4});
  REQUIRE(bad.ok());
  CHECK(bad->load(0).error().code == ErrorCode::kMalformed);
  CHECK_THAT(bad->load(0).error().text(), Contains("a.png"));
  CHECK_FALSE(bad->load(1).ok());
}

TEST_CASE("folder: a few bytes that claim a huge picture are refused unread") {
  const Scratch scratch;
  write_png(scratch.path("f/a.png"), 4, 4, 3, plain(4, 4, {1, 1, 1}));
  std::string bytes = tests::slurp(scratch.path("f/a.png"));
  bytes[18] = '\x27';  // the third byte of the width, then of the height: 9,988
  bytes[22] = '\x27';
  (void)scratch.write("f/a.png", bytes);
  const auto set = Dataset::open(scratch.path("f"), {3, 4, 4});
  REQUIRE(set.ok());
  CHECK_THAT(set->load(0).error().text(), Contains("the limit is 67108864"));
}

TEST_CASE("folder: damaged files give a picture or a diagnostic") {
  const Scratch scratch;
  const auto seed = tests::seed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  Pixels noise(24 * 24 * 3);
  for (auto& v : noise) v = static_cast<std::uint8_t>(random());
  write_png(scratch.path("f/a.png"), 24, 24, 3, noise);
  REQUIRE(stbi_write_jpg(scratch.path("f/b.jpg").c_str(), 24, 24, 3, noise.data(), 80) != 0);
  const auto set = Dataset::open(scratch.path("f"), {3, 16, 16});
  REQUIRE(set.ok());
  int refused = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string path = set->name(i);
    const std::string good = tests::slurp(path);
    const auto attempt = [&](const std::string& bytes) {
      (void)scratch.write(i == 0 ? "f/a.png" : "f/b.jpg", bytes);
      const auto image = set->load(i);
      if (image.ok()) {
        REQUIRE(image->size() == 768);
      } else {
        ++refused;
      }
    };
    for (std::size_t size = 0; size < good.size(); size += 7) attempt(good.substr(0, size));
    for (int k = 0; k < 600; ++k) {
      std::string bytes = good;
      // Mostly the headers, where damage does most.
      const std::size_t reach =
          random() % 2 == 0 ? std::min<std::size_t>(bytes.size(), 700) : bytes.size();
      for (std::uint64_t n = random() % 4 + 1; n > 0; --n) {
        bytes[random() % reach] = static_cast<char>(random());
      }
      attempt(bytes);
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("scale and crop: a plain picture stays plain, a ramp stays a ramp") {
  const Picture grey{301, 57, plain(301, 57, {90, 91, 92})};
  const auto cut = images::scale_and_crop(grey, 20, 30);
  REQUIRE(cut.size() == 1800);
  CHECK(cut[0] == 90.0F);
  CHECK(cut[1799] == 92.0F);
  // A ramp of 2 a pixel over 112 columns, cut to 98 x 98: scaled by 256/224 * 98/112 = 1.
  Picture ramp{112, 112, {}};
  for (int i = 0; i < 112 * 112; ++i)
    ramp.pixels.insert(ramp.pixels.end(), 3, std::uint8_t(i % 112 * 2));
  const auto middle = images::scale_and_crop(ramp, 98, 98);
  for (int x = 0; x < 98; ++x) CHECK(middle[std::size_t(x)] == float((x + 7) * 2));
}

TEST_CASE("scale and crop: the shorter side sets the scale and the centre is kept") {
  // 16 x 8, left half black, right half white: height 8 is scaled to 8 (7 * 256/224), 16 stays 16,
  // and columns 4..10 are kept.
  Picture halves{16, 8, {}};
  for (int i = 0; i < 128; ++i) halves.pixels.insert(halves.pixels.end(), 3, i % 16 < 8 ? 0 : 255);
  const auto cut = images::scale_and_crop(halves, 7, 7);
  const std::vector<float> row(cut.begin(), cut.begin() + 7);
  CHECK(row == std::vector<float>{0, 0, 0, 0, 255, 255, 255});
}

TEST_CASE("scale and crop: halving blends with a triangle of twice the width") {
  // 16 to 8: weights 1/8, 3/8, 3/8, 1/8 around each centre. A single white column at 7 falls on
  // outputs 3 (3/8: columns 5..8) and 4 (1/8: columns 7..10).
  Picture line{16, 16, {}};
  for (int i = 0; i < 256; ++i) line.pixels.insert(line.pixels.end(), 3, i % 16 == 7 ? 240 : 0);
  const auto cut = images::scale_and_crop(line, 7, 7);
  const std::vector<float> row(cut.begin(), cut.begin() + 7);
  CHECK(row == std::vector<float>{0, 0, 0, 90, 30, 0, 0});
}
