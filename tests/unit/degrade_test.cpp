// Pictures made worse: what each kind does to pictures whose result is known.

#include <stb/stb_image_write.h>

#include <cmath>

#include "base/whole_file.hpp"
#include "catch.hpp"
#include "images/album.hpp"
#include "images/degrade.hpp"
#include "scratch.hpp"

namespace {

using namespace espalier;
using Catch::Contains;
using images::Degradation;
using images::Degrade;
using images::Picture;
using tests::Scratch;

Picture plain(int width, int height, std::vector<std::uint8_t> colour) {
  Picture picture{width, height, static_cast<int>(colour.size()), {}};
  for (int i = 0; i < width * height; ++i)
    picture.pixels.insert(picture.pixels.end(), colour.begin(), colour.end());
  return picture;
}

Picture ramp(int width, int height) {
  Picture picture{width, height, 3, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c)
        picture.pixels.push_back(static_cast<std::uint8_t>((7 * x + 11 * y + 60 * c) % 256));
    }
  }
  return picture;
}

Picture one(const Picture& picture, const std::string& kind, const std::string& amount,
            std::uint64_t seed = 1, std::uint64_t place = 0) {
  const Degradation how = images::parse_degradation(kind, amount).value();
  return images::degrade(picture, std::span(&how, 1), seed, place).value();
}

double mean(const Picture& picture) {
  double sum = 0;
  for (const std::uint8_t pixel : picture.pixels) sum += pixel;
  return sum / static_cast<double>(picture.pixels.size());
}

double deviation(const Picture& picture) {
  const double middle = mean(picture);
  double sum = 0;
  for (const std::uint8_t pixel : picture.pixels) sum += (pixel - middle) * (pixel - middle);
  return std::sqrt(sum / static_cast<double>(picture.pixels.size()));
}

}  // namespace

TEST_CASE("degrade: kinds that keep a picture as it is") {
  const Picture picture = ramp(20, 12);
  for (const auto& [kind, amount] :
       std::vector<std::pair<std::string, std::string>>{{"noise", "0"},
                                                        {"impulse", "0"},
                                                        {"blur", "0.01"},
                                                        {"dark", "1"},
                                                        {"bright", "0"},
                                                        {"contrast", "1"},
                                                        {"downscale", "1"},
                                                        {"pixelate", "1"},
                                                        {"fog", "0"}}) {
    INFO(kind);
    const Picture same = one(picture, kind, amount);
    CHECK(same.width == 20);
    CHECK(same.height == 12);
    CHECK(same.pixels == picture.pixels);
  }
}

TEST_CASE("degrade: noise, photons and lost values have the mean and deviation asked for") {
  const Picture grey = plain(200, 200, {128, 128, 128});
  const Picture noise = one(grey, "noise", "0.1");
  CHECK(mean(noise) == Approx(128).margin(0.5));
  CHECK(deviation(noise) == Approx(25.5).epsilon(0.02));
  const Picture shot = one(grey, "shot", "50");  // deviation sqrt(50 x) / 50
  CHECK(mean(shot) == Approx(128).margin(0.5));
  CHECK(deviation(shot) == Approx(255 * std::sqrt(50 * 128 / 255.0) / 50).epsilon(0.02));
  const Picture lost = one(grey, "impulse", "0.2");
  std::size_t low = 0, high = 0;
  for (const std::uint8_t pixel : lost.pixels) {
    low += pixel == 0 ? 1 : 0;
    high += pixel == 255 ? 1 : 0;
    CHECK((pixel == 0 || pixel == 128 || pixel == 255));
  }
  CHECK(static_cast<double>(low) == Approx(12000).epsilon(0.03));
  CHECK(static_cast<double>(high) == Approx(12000).epsilon(0.03));
}

TEST_CASE("degrade: the same seed and place give the same picture, others others") {
  const Picture grey = plain(32, 32, {90, 120, 150});
  for (const auto& [kind, amount] : std::vector<std::pair<std::string, std::string>>{
           {"noise", "0.05"}, {"shot", "100"}, {"impulse", "0.1"}, {"fog", "0.5,2"}}) {
    INFO(kind);
    const Picture first = one(grey, kind, amount, 7, 3);
    CHECK(one(grey, kind, amount, 7, 3).pixels == first.pixels);
    CHECK(one(grey, kind, amount, 7, 4).pixels != first.pixels);
    CHECK(one(grey, kind, amount, 8, 3).pixels != first.pixels);
  }
}

TEST_CASE("degrade: a blurred point is a Gaussian, and edges go on outside") {
  Picture point = plain(41, 41, {0});
  point.pixels[20 * 41 + 20] = 255;
  const Picture blurred = one(point, "blur", "1.5");
  for (const auto& [y, x] : {std::pair(20, 20), std::pair(20, 22), std::pair(18, 21)}) {
    const double square = (y - 20) * (y - 20) + (x - 20) * (x - 20);
    const double wanted = 255 * std::exp(-square / 4.5) / (2 * 3.14159265 * 2.25);
    CHECK(blurred.pixels[std::size_t(y * 41 + x)] == Approx(wanted).margin(0.51));
  }
  CHECK(one(plain(5, 3, {10, 200, 90}), "blur", "40").pixels == plain(5, 3, {10, 200, 90}).pixels);
}

TEST_CASE("degrade: light, contrast and size") {
  CHECK(one(plain(4, 4, {200, 100, 50}), "dark", "0.3").pixels == plain(4, 4, {60, 30, 15}).pixels);
  // Value 100/255 and 0.2: 151/255, the others in proportion.
  CHECK(one(plain(2, 2, {100, 50, 0}), "bright", "0.2").pixels == plain(2, 2, {151, 76, 0}).pixels);
  CHECK(one(plain(2, 2, {0, 0, 0}), "bright", "0.2").pixels == plain(2, 2, {51, 51, 51}).pixels);
  Picture halves{2, 1, 1, {50, 150}};
  CHECK(one(halves, "contrast", "0.5").pixels == std::vector<std::uint8_t>{75, 125});
  CHECK(one(halves, "contrast", "10").pixels == std::vector<std::uint8_t>{0, 255});
  Picture four{4, 1, 1, {0, 100, 200, 240}};
  CHECK(one(four, "pixelate", "0.5").pixels == std::vector<std::uint8_t>{50, 50, 220, 220});
  // 50 and 220 stand at 0.5 and 2.5.
  CHECK(one(four, "downscale", "2").pixels == std::vector<std::uint8_t>{50, 93, 178, 220});
}

TEST_CASE("degrade: fog is closed at its ends, smooth, and keeps the largest value") {
  const Picture fogged = one(plain(64, 64, {100, 100, 100}), "fog", "1,2");
  int low = 255, high = 0, step = 0;
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 64; ++x) {
      const auto at = [&](int v, int u) {
        return int{fogged.pixels[std::size_t(3 * ((v % 64) * 64 + u % 64))]};
      };
      low = std::min(low, at(y, x));
      high = std::max(high, at(y, x));
      step = std::max({step, std::abs(at(y, x) - at(y, x + 1)), std::abs(at(y, x) - at(y + 1, x))});
    }
  }
  // Of 100: 100 (100 + 255 f) / (100 + 255), f from 0 to 1.
  CHECK(low == 28);
  CHECK(high == 100);
  CHECK(step <= 20);
}

TEST_CASE("degrade: JPEG loses more at less quality, and keeps what is plain") {
  const Picture picture = ramp(33, 17);  // no multiple of a block
  double last = 0;
  for (const char* quality : {"95", "50", "10", "1"}) {
    const Picture read = one(picture, "jpeg", quality);
    REQUIRE(read.pixels.size() == picture.pixels.size());
    double change = 0;
    for (std::size_t i = 0; i < read.pixels.size(); ++i)
      change += std::abs(read.pixels[i] - picture.pixels[i]);
    CHECK(change > last);
    last = change;
  }
  CHECK(one(plain(16, 16, {128}), "jpeg", "30").pixels == plain(16, 16, {128}).pixels);
}

TEST_CASE("degrade: kinds follow each other in the order given") {
  const Picture grey = plain(8, 8, {100, 100, 100});
  const Degradation dark{Degrade::kDark, 0.5}, bright{Degrade::kBright, 0.2};
  const std::vector<Degradation> list{dark, bright}, turned{bright, dark};
  CHECK(images::degrade(grey, list, 1, 0).value().pixels[0] == 101);
  CHECK(images::degrade(grey, turned, 1, 0).value().pixels[0] == 76);
}

TEST_CASE("degrade: corruptions of CIFAR-10-C are kinds with their severities") {
  for (int severity = 1; severity <= 5; ++severity) {
    CHECK(images::corruption("jpeg_compression", severity)->amount ==
          std::vector<double>{80, 65, 58, 50, 40}[std::size_t(severity - 1)]);
  }
  const auto fog = images::corruption("fog", 3);
  CHECK(fog->text() == "fog 0.75,2.5");
  CHECK_THAT(images::corruption("frost", 1).error().message,
             Contains("`frost` is none of") && Contains("gaussian_noise"));
}

TEST_CASE("degrade: numbers out of range are named with their option") {
  for (const auto& [kind, text] :
       std::vector<std::pair<std::string, std::string>>{{"jpeg", "0"},
                                                        {"jpeg", "101"},
                                                        {"jpeg", "10.5"},
                                                        {"noise", "-0.1"},
                                                        {"noise", "nan"},
                                                        {"blur", "0"},
                                                        {"pixelate", "0"},
                                                        {"dark", "1,2"},
                                                        {"fog", "1,"},
                                                        {"fog", "1,1"},
                                                        {"downscale", "0.5"},
                                                        {"shot", "x"},
                                                        {"impulse", ""},
                                                        {"bright", "1.01"}}) {
    INFO(kind << " " << text);
    const auto made = images::parse_degradation(kind, text);
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().place == "--" + kind);
  }
}

TEST_CASE("album: files and folders keep all but their pixels") {
  const Scratch scratch;
  std::string cifar;
  for (int i = 0; i < 3; ++i) {
    cifar += static_cast<char>(i + 4);
    for (int k = 0; k < 3072; ++k) cifar += static_cast<char>((i + 5 * k) % 251);
  }
  std::string npy("\x93NUMPY\x01\x00\x46\x00", 10);
  npy += "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 3, 5), }";
  npy.append(80 - npy.size() - 1, ' ');
  npy += '\n';
  for (int k = 0; k < 30; ++k) npy += static_cast<char>(k * 3);
  (void)scratch.write("a.bin", cifar);
  (void)scratch.write("a.npy", npy);
  for (const char* name : {"a.bin", "a.npy"}) {
    INFO(name);
    const auto album = images::Album::open(scratch.path(name));
    REQUIRE(album.ok());
    const std::string to = scratch.path(std::string("out-") + name);
    const auto copy = album->copy(to);
    REQUIRE(copy.ok());
    for (std::size_t i = 0; i < album->size(); ++i)
      REQUIRE((*copy)->put(i, album->read(i).value()).ok());
    REQUIRE((*copy)->finish().ok());
    CHECK(read_file(to).value() == read_file(scratch.path(name)).value());
    CHECK_FALSE(album->copy(scratch.path("other.png")).ok());
  }
}

TEST_CASE("album: a folder's pictures are there all or none") {
  const Scratch scratch;
  const Picture picture = ramp(9, 6);
  for (const char* name : {"f/cat/a.png", "f/dog/b.png"}) {
    (void)scratch.write(name, "");
    REQUIRE(stbi_write_png(scratch.path(name).c_str(), 9, 6, 3, picture.pixels.data(), 0) != 0);
  }
  const auto album = images::Album::open(scratch.path("f"));
  REQUIRE(album.ok());
  {
    const auto copy = album->copy(scratch.path("g"));
    REQUIRE(copy.ok());
    REQUIRE((*copy)->put(0, picture).ok());
  }  // given up
  CHECK_FALSE(std::filesystem::exists(scratch.path("g")));
  std::size_t left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path("")))
    left += entry.path().filename().string().starts_with("g") ? 1 : 0;
  CHECK(left == 0);
  const auto copy = album->copy(scratch.path("g"));
  REQUIRE(copy.ok());
  for (std::size_t i = 0; i < 2; ++i) REQUIRE((*copy)->put(i, album->read(i).value()).ok());
  REQUIRE((*copy)->finish().ok());
  const auto again = images::Album::open(scratch.path("g"));
  REQUIRE(again.ok());
  REQUIRE(again->size() == 2);
  CHECK_THAT(again->name(1), Catch::EndsWith("g/dog/b.png"));
  CHECK(again->read(1)->pixels == picture.pixels);
  CHECK_THAT(album->copy(scratch.path("g")).error().message, Contains("there already"));
}
