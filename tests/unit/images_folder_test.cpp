// Folders of pictures: their kinds, how they were held, grey, scaling and cropping.

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

TEST_CASE("folder: all kinds that can be decoded are read, the others named") {
  const Scratch scratch;
  const Pixels colour = plain(8, 8, {10, 20, 30});
  write_png(scratch.path("f/a.png"), 8, 8, 3, colour);
  REQUIRE(stbi_write_bmp(scratch.path("f/b.bmp").c_str(), 8, 8, 3, colour.data()) != 0);
  REQUIRE(stbi_write_tga(scratch.path("f/c.TGA").c_str(), 8, 8, 3, colour.data()) != 0);
  const std::string raw(colour.begin(), colour.end());
  (void)scratch.write("f/d.ppm", "P6 8 8 255\n" + raw);
  (void)scratch.write("f/e.pgm", "P5 8 8 255\n" + std::string(64, '\x14'));
  // One pixel of colour 0 of a table of two.
  (void)scratch.write("f/f.gif", std::string("GIF89a\1\0\1\0\x80\0\0\x0a\x14\x1e\0\0\0,\0\0\0\0\1\0"
                                             "\1\0\0\2\2\x44\1\0;",
                                             35));
  // Photoshop's: a header of 26 bytes, three empty sections, planes that are not compressed.
  std::string psd("8BPS\0\1\0\0\0\0\0\0\0\3\0\0\0\x8\0\0\0\x8\0\x8\0\3", 26);
  psd += std::string(14, '\0') + std::string(64, '\x0a') + std::string(64, '\x14') +
         std::string(64, '\x1e');
  (void)scratch.write("f/g.psd", psd);
  for (const char* name : {"f/z.webp", "f/y.heic", "f/notes.txt", "f/.hidden.webp"})
    (void)scratch.write(name, "x");
  const auto set = Dataset::open(scratch.path("f"), {3, 4, 4});
  REQUIRE(set.ok());
  REQUIRE(set->size() == 7);
  for (std::size_t i = 0; i < set->size(); ++i) {
    INFO(set->name(i));
    const auto image = set->load(i);
    INFO((image.ok() ? "" : image.error().text()));
    REQUIRE(image.ok());
    const bool grey = set->name(i).ends_with(".pgm");
    CHECK((*image)[0] == (grey ? 20.0F : 10.0F));
    CHECK((*image)[16] == 20.0F);
    CHECK((*image)[47] == (grey ? 20.0F : 30.0F));
  }
  CHECK(set->left_out() == std::vector<std::string>{"notes.txt", "y.heic", "z.webp"});
  write_png(scratch.path("g/cat/a.png"), 4, 4, 3, plain(4, 4, {1, 1, 1}));
  (void)scratch.write("g/cat/b.webp", "x");
  (void)scratch.write("g/cat/more/c.png", "x");
  (void)scratch.write("g/readme", "x");
  CHECK(Dataset::open(scratch.path("g"), {3, 4, 4})->left_out() ==
        std::vector<std::string>{"readme", "cat/more", "cat/b.webp"});
}

TEST_CASE("folder: a network of one channel sees colours as luma") {
  const Scratch scratch;
  const std::vector<std::pair<Pixels, float>> colours{
      {{255, 0, 0}, 76},  {{0, 255, 0}, 150},  {{0, 0, 255}, 29}, {{255, 255, 255}, 255},
      {{90, 90, 90}, 90}, {{10, 200, 60}, 127}};  // 0.299, 0.587 and 0.114 of them, rounded
  for (std::size_t i = 0; i < colours.size(); ++i)
    write_png(scratch.path("f/" + std::to_string(i) + ".png"), 6, 6, 3,
              plain(6, 6, colours[i].first));
  write_png(scratch.path("f/9.png"), 6, 6, 1, plain(6, 6, {77}));
  const auto set = Dataset::open(scratch.path("f"), {1, 4, 4});
  REQUIRE(set.ok());
  REQUIRE(set->size() == colours.size() + 1);
  for (std::size_t i = 0; i < colours.size(); ++i)
    CHECK(set->load(i).value() == std::vector<float>(16, colours[i].second));
  CHECK(set->load(colours.size()).value() == std::vector<float>(16, 77.0F));
}

namespace {

/// EXIF that says how a picture was held, in either order of bytes.
std::string exif(int orientation, bool big) {
  const auto number = [big](unsigned value, int size) {
    std::string text;
    for (int i = 0; i < size; ++i)
      text += static_cast<char>(value >> (8 * (big ? size - 1 - i : i)) & 0xFF);
    return text;
  };
  // A header; a directory of two entries, at byte 8: the camera's maker and the orientation.
  return (big ? "MM" : "II") + number(42, 2) + number(8, 4) + number(2, 2) + number(0x10F, 2) +
         number(2, 2) + number(4, 4) + "abc" + std::string(1, '\0') + number(0x112, 2) +
         number(3, 2) + number(1, 4) + number(static_cast<unsigned>(orientation), 2) +
         number(0, 2) + number(0, 4);
}

std::string jpeg_with(const std::string& jpeg, const std::string& exif) {
  const std::string data = std::string("Exif\0\0", 6) + exif;
  const auto size = static_cast<unsigned>(data.size() + 2);
  const std::string other("\xFF\xE1\0\x6http", 8);  // of the same kind, with something else
  return jpeg.substr(0, 2) + other + "\xFF\xE1" + static_cast<char>(size >> 8) +
         static_cast<char>(size & 0xFF) + data + jpeg.substr(2);
}

/// The decoder does not look at the chunk's sum.
std::string png_with(const std::string& png, const std::string& exif) {
  const auto size = static_cast<char>(exif.size());
  return png.substr(0, 33) + std::string(3, '\0') + size + "eXIf" + exif + std::string(4, '\0') +
         png.substr(33);
}

}  // namespace

TEST_CASE("folder: a picture is turned as its EXIF says, all eight ways") {
  const Scratch scratch;
  // Stored: 32 x 16, black but for a white square of 8 at the start of the first row, and a grey
  // one at that row's end.
  Pixels pixels(32 * 16 * 3, 0);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) {
      for (int c = 0; c < 3; ++c) {
        pixels[std::size_t((y * 32 + x) * 3 + c)] = 255;
        pixels[std::size_t((y * 32 + 24 + x) * 3 + c)] = 128;
      }
    }
  }
  REQUIRE(stbi_write_jpg(scratch.path("a.jpg").c_str(), 32, 16, 3, pixels.data(), 95) != 0);
  write_png(scratch.path("a.png"), 32, 16, 3, pixels);
  const std::string jpeg = tests::slurp(scratch.path("a.jpg"));
  const std::string png = tests::slurp(scratch.path("a.png"));
  // The standard's table: which side is seen where the first row, and the first column, is stored.
  struct Held {
    const char *row, *column;
  };
  const Held held[] = {{"top", "left"}, {"top", "right"}, {"bottom", "right"}, {"bottom", "left"},
                       {"left", "top"}, {"right", "top"}, {"right", "bottom"}, {"left", "bottom"}};
  const auto opposite = [](const std::string& side) -> std::string {
    return side == "left" ? "right" : side == "right" ? "left" : side == "top" ? "bottom" : "top";
  };
  std::size_t compared = 0;
  for (int way = 1; way <= 8; ++way) {
    for (const bool big : {false, true}) {
      for (const bool is_png : {false, true}) {
        INFO("orientation " << way << (big ? ", MM" : ", II") << (is_png ? ", PNG" : ", JPEG"));
        const std::string name = is_png ? "x.png" : "x.jpg";
        const std::string path = scratch.write(
            name, is_png ? png_with(png, exif(way, big)) : jpeg_with(jpeg, exif(way, big)));
        const auto picture = images::read_picture(path, 3);
        REQUIRE(picture.ok());
        CHECK(picture->width == (way < 5 ? 32 : 16));
        CHECK(picture->height == (way < 5 ? 16 : 32));
        const auto at = [&](const std::string& a, const std::string& b) {
          const int x = a == "right" || b == "right" ? picture->width - 4 : 3;
          const int y = a == "bottom" || b == "bottom" ? picture->height - 4 : 3;
          return int{picture->pixels[std::size_t((y * picture->width + x) * 3)]};
        };
        const Held& h = held[way - 1];
        CHECK(std::abs(at(h.row, h.column) - 255) < 12);
        CHECK(std::abs(at(h.row, opposite(h.column)) - 128) < 12);
        CHECK(at(opposite(h.row), h.column) < 12);
        CHECK(at(opposite(h.row), opposite(h.column)) < 12);
        ++compared;
      }
    }
  }
  CHECK(compared == 32);
  for (const int odd : {0, 9, 1000}) {  // as if there were none
    const auto picture =
        images::read_picture(scratch.write("x.jpg", jpeg_with(jpeg, exif(odd, true))), 1);
    REQUIRE(picture.ok());
    CHECK(picture->width == 32);
    CHECK(picture->pixels[0] > 240);
  }
  // Cut anywhere, EXIF is read no further than it goes.
  const std::string whole = exif(6, false);
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK(images::read_picture(scratch.write("x.jpg", jpeg_with(jpeg, whole.substr(0, size))), 3)
              .ok());
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
             Contains("holds no PNG, JPEG, BMP"));
  write_png(scratch.path("mixed/a.png"), 4, 4, 3, plain(4, 4, {1, 1, 1}));
  CHECK_THAT(Dataset::open(scratch.path("mixed"), {2, 4, 4}).error().text(),
             Contains("pictures have 3 channels, or are made grey for 1; the model takes 2x4x4"));
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
  const Picture grey{301, 57, 3, plain(301, 57, {90, 91, 92})};
  const auto cut = images::scale_and_crop(grey, 20, 30);
  REQUIRE(cut.size() == 1800);
  CHECK(cut[0] == 90.0F);
  CHECK(cut[1799] == 92.0F);
  // A ramp of 2 a pixel over 112 columns, cut to 98 x 98: scaled by 256/224 * 98/112 = 1.
  Picture ramp{112, 112, 3, {}};
  for (int i = 0; i < 112 * 112; ++i)
    ramp.pixels.insert(ramp.pixels.end(), 3, std::uint8_t(i % 112 * 2));
  const auto middle = images::scale_and_crop(ramp, 98, 98);
  for (int x = 0; x < 98; ++x) CHECK(middle[std::size_t(x)] == float((x + 7) * 2));
}

TEST_CASE("scale and crop: the shorter side sets the scale and the centre is kept") {
  // 16 x 8, left half black, right half white: height 8 is scaled to 8 (7 * 256/224), 16 stays 16,
  // and columns 4..10 are kept.
  Picture halves{16, 8, 3, {}};
  for (int i = 0; i < 128; ++i) halves.pixels.insert(halves.pixels.end(), 3, i % 16 < 8 ? 0 : 255);
  const auto cut = images::scale_and_crop(halves, 7, 7);
  const std::vector<float> row(cut.begin(), cut.begin() + 7);
  CHECK(row == std::vector<float>{0, 0, 0, 0, 255, 255, 255});
}

TEST_CASE("scale and crop: halving blends with a triangle of twice the width") {
  // 16 to 8: weights 1/8, 3/8, 3/8, 1/8 around each centre. A single white column at 7 falls on
  // outputs 3 (3/8: columns 5..8) and 4 (1/8: columns 7..10).
  Picture line{16, 16, 3, {}};
  for (int i = 0; i < 256; ++i) line.pixels.insert(line.pixels.end(), 3, i % 16 == 7 ? 240 : 0);
  const auto cut = images::scale_and_crop(line, 7, 7);
  const std::vector<float> row(cut.begin(), cut.begin() + 7);
  CHECK(row == std::vector<float>{0, 0, 0, 90, 30, 0, 0});
}
