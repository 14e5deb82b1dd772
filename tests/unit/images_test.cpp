// CIFAR-10 and .npy files, class names and scores.

#include <bit>
#include <cstdlib>
#include <iostream>
#include <random>

#include "catch.hpp"
#include "images/dataset.hpp"
#include "images/files.hpp"
#include "scratch.hpp"
#include "seed.hpp"
#include "shared_file.hpp"

namespace {

using namespace espalier;
using Catch::Contains;
using images::Dataset;
using tests::Scratch;

constexpr ir::Shape kCifar{3, 32, 32};

std::string text(const Result<Dataset>& result) { return result ? "" : result.error().text(); }

std::string cifar_record(int label, int first) {
  std::string record(1, static_cast<char>(label));
  for (int i = 0; i < 3072; ++i) record.push_back(static_cast<char>(first + i));
  return record;
}

/// An .npy file: version, header text, data.
std::string npy(int version, const std::string& header, const std::string& data) {
  std::string bytes("\x93NUMPY");
  bytes += {static_cast<char>(version), '\0'};
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    bytes.push_back(static_cast<char>(header.size() >> (8 * i)));
  }
  return bytes + header + data;
}

std::string header(const std::string& descr, const std::string& order, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

std::string float_bytes(const std::vector<float>& values) {
  std::string bytes;
  for (const float v : values) {
    for (int i = 0; i < 4; ++i) bytes.push_back(char(std::bit_cast<std::uint32_t>(v) >> (8 * i)));
  }
  return bytes;
}

}  // namespace

TEST_CASE("cifar: labels and pixels") {
  const Scratch scratch;
  const auto path = scratch.write("a.bin", cifar_record(3, 0) + cifar_record(9, 250));
  const auto set = Dataset::open(path, kCifar);
  REQUIRE(set.ok());
  CHECK(set->size() == 2);
  CHECK(set->has_labels());
  CHECK_FALSE(set->raw_float());
  CHECK(set->label(0) == 3);
  CHECK(set->label(1) == 9);
  const auto image = set->load(1);
  REQUIRE(image.ok());
  REQUIRE(image->size() == 3072);
  CHECK((*image)[0] == 250.0F);
  CHECK((*image)[5] == 255.0F);
  CHECK((*image)[6] == 0.0F);
  CHECK((*set->load(0))[3071] == float(3071 % 256));
}

TEST_CASE("cifar: other shapes, sizes and labels are refused") {
  const Scratch scratch;
  const auto good = scratch.write("a.bin", cifar_record(3, 0));
  CHECK_THAT(text(Dataset::open(good, {3, 224, 224})),
             Contains("images are 3x32x32; the model takes 3x224x224"));
  CHECK(Dataset::open(good, {1, 32, 32}).error().code == ErrorCode::kShape);
  CHECK_FALSE(Dataset::open(good, {0, 0, 0}).ok());
  CHECK_THAT(text(Dataset::open(scratch.write("b.bin", cifar_record(3, 0) + "x"), kCifar)),
             Contains("3074 bytes; a CIFAR-10 file has a multiple of 3073"));
  CHECK_THAT(text(Dataset::open(scratch.write("c.bin", ""), kCifar)), Contains("0 bytes"));
  CHECK_THAT(
      text(Dataset::open(scratch.write("d.bin", cifar_record(1, 0) + cifar_record(10, 0)), kCifar)),
      Contains("image 1 has label 10; the last is 9"));
  CHECK(Dataset::open(scratch.path("none.bin"), kCifar).error().code == ErrorCode::kIo);
  CHECK(Dataset::open(scratch.write("a.tar", "x"), kCifar).error().code == ErrorCode::kUnsupported);
}

TEST_CASE("cifar: a file that shrinks after opening is a diagnostic") {
  const Scratch scratch;
  const auto path = scratch.write("a.bin", cifar_record(3, 0) + cifar_record(4, 0));
  const auto set = Dataset::open(path, kCifar);
  REQUIRE(set.ok());
  (void)scratch.write("a.bin", cifar_record(3, 0));
  CHECK(set->load(0).ok());
  CHECK(set->load(1).error().code == ErrorCode::kIo);
}

TEST_CASE("npy: uint8 pixels and float values, versions 1 to 3") {
  const Scratch scratch;
  for (const int version : {1, 2, 3}) {
    const auto u8 =
        Dataset::open(scratch.write("u.npy", npy(version, header("|u1", "False", "(2, 1, 1, 3)"),
                                                 std::string("\x00\x01\xFF\x07\x08\x80", 6))),
                      {1, 1, 3});
    REQUIRE(u8.ok());
    CHECK(u8->size() == 2);
    CHECK_FALSE(u8->has_labels());
    CHECK_FALSE(u8->raw_float());
    CHECK(u8->load(0).value() == std::vector<float>{0, 1, 255});
    CHECK(u8->load(1).value() == std::vector<float>{7, 8, 128});
    const auto f4 =
        Dataset::open(scratch.write("f.npy", npy(version, header("<f4", "False", "(2,1,2,1)"),
                                                 float_bytes({-1.5F, 1e30F, 0.25F, 3}))),
                      {1, 2, 1});
    REQUIRE(f4.ok());
    CHECK(f4->raw_float());
    CHECK(f4->load(0).value() == std::vector<float>{-1.5F, 1e30F});
    CHECK(f4->load(1).value() == std::vector<float>{0.25F, 3});
  }
}

TEST_CASE("npy: what is not read is named") {
  const Scratch scratch;
  const auto complaint = [&scratch](const std::string& bytes, const ir::Shape& shape = {1, 1, 2}) {
    return text(Dataset::open(scratch.write("x.npy", bytes), shape));
  };
  const std::string data(2, 'x');
  CHECK_THAT(complaint(npy(1, header(">f4", "False", "(1,1,1,2)"), data)), Contains("big endian"));
  CHECK_THAT(complaint(npy(1, header("<f8", "False", "(1,1,1,2)"), data)), Contains("'<f8'"));
  CHECK_THAT(complaint(npy(1, header("|u1", "True", "(1,1,1,2)"), data)),
             Contains("Fortran order"));
  CHECK_THAT(complaint(npy(4, header("|u1", "False", "(1,1,1,2)"), data)), Contains("version 4.0"));
  CHECK_THAT(complaint(npy(1, header("|u1", "False", "(1,1,2)"), data)),
             Contains("the array is 1x1x2; the model takes N x 1x1x2"));
  CHECK_THAT(complaint(npy(1, header("|u1", "False", "(1,2,1,1)"), data)), Contains("1x2x1x1"));
  CHECK_THAT(complaint(npy(1, header("|u1", "False", "()"), data)), Contains("a single number"));
  CHECK_THAT(complaint(npy(1, header("|u1", "False", "(0,1,1,2)"), "")), Contains("no image"));
  CHECK_THAT(complaint(npy(1, header("|u1", "False", "(2,1,1,2)"), data)),
             Contains("2 bytes of data"));
  CHECK_THAT(complaint(npy(1, header("|u1", "False", "(1,1,1,2)"), data + "x")),
             Contains("3 bytes"));
  CHECK_THAT(complaint(npy(1, header("|u1", "False", "(4294967296,1,1,2)"), data)),
             Contains("images"));
  CHECK_THAT(complaint(npy(1, header("|u1", "False", "(99999999999999999999,1,1,2)"), data)),
             Contains("not a dictionary"));
  CHECK_THAT(complaint("not numpy at all"), Contains("magic"));
  CHECK_THAT(complaint("\x93NUM"), Contains("4 bytes"));
  for (const char* bad : {"", "{", "{}", "{'descr'}", "{'descr': '|u1'}", "{'shape': (1,",
                          "{'descr': '|u1', 'fortran_order': False, 'shape': (1 1), }",
                          "{'descr': '|u1', 'fortran_order': Maybe, 'shape': (1,), }",
                          "{'descr': '|u1', 'descr': '|u1', 'shape': (1,), }",
                          "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }"}) {
    CHECK_THAT(complaint(npy(1, bad, data)), Contains("not a dictionary"));
  }
  std::string long_header = npy(2, header("|u1", "False", "(1,1,1,2)"), data);
  long_header[11] = '\x7F';
  CHECK_THAT(complaint(long_header), Contains("a header of"));
}

TEST_CASE("npy: values that are no finite numbers are refused with image and place") {
  const Scratch scratch;
  for (const auto& [bytes, name] : {std::pair{std::string("\0\0\xC0\x7F", 4), "nan"},
                                    {std::string("\0\0\x80\xFF", 4), "-inf"}}) {
    const auto data = Dataset::open(
        scratch.write("x.npy",
                      npy(1, header("<f4", "False", "(2,1,1,2)"), std::string(12, 0) + bytes)),
        {1, 1, 2});
    REQUIRE(data.ok());
    CHECK(data->load(0).ok());
    const auto loaded = data->load(1);
    REQUIRE_FALSE(loaded.ok());
    CHECK_THAT(loaded.error().text(), Contains(std::string("image 1: value 1 is ") + name));
  }
}

TEST_CASE("npy: survives truncation and any changed byte") {
  const Scratch scratch;
  const std::string good = npy(1, header("|u1", "False", "(3, 1, 1, 2)"), "abcdef");
  const auto try_bytes = [&scratch](const std::string& bytes) {
    const auto set = Dataset::open(scratch.write("x.npy", bytes), {1, 1, 2});
    if (!set.ok()) return false;
    for (std::size_t i = 0; i < set->size(); ++i) REQUIRE(set->load(i).ok());
    return true;
  };
  REQUIRE(try_bytes(good));
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK_FALSE(try_bytes(good.substr(0, size)));
  const auto seed = tests::seed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = good;
    for (std::uint64_t k = random() % 3 + 1; k > 0; --k) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    (void)try_bytes(bytes);
  }
}

TEST_CASE("scores: an .npy file that reads back") {
  const Scratch scratch;
  const auto path = scratch.path("scores.npy");
  REQUIRE(images::write_scores(path, std::vector<float>{1, -2.5F, 3, 4, 5, 6}, 2, 3).ok());
  const std::string bytes = tests::slurp(path);
  CHECK(bytes.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
  CHECK(bytes.size() == 128 + 24);  // the header fills 128 bytes
  CHECK_THAT(bytes, Contains("'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)"));
  CHECK(bytes[127] == '\n');
  CHECK(bytes.substr(128) == float_bytes({1, -2.5F, 3, 4, 5, 6}));
  CHECK(images::write_scores(scratch.path("no") + "/x/y.npy", {}, 0, 3).error().code ==
        ErrorCode::kIo);
}

TEST_CASE("class names: one a line") {
  const Scratch scratch;
  const auto names = [&scratch](const std::string& bytes) {
    return images::read_class_names(scratch.write("names.txt", bytes));
  };
  using Names = std::vector<std::string>;
  CHECK(names("cat\nsmall dog\n").value() == Names{"cat", "small dog"});
  CHECK(names("\xEF\xBB\xBF"
              "cat\r\ndog \r\n\n\n")
            .value() == Names{"cat", "dog"});
  CHECK_THAT(names("cat\n\ndog").error().text(), Contains("names.txt:2: a blank line"));
  CHECK_THAT(names("cat\ndo\x01g").error().text(), Contains("names.txt:2: control character 1"));
  CHECK_THAT(names("\n\n").error().text(), Contains("no class name"));
  CHECK_FALSE(names("").ok());
  CHECK(images::read_class_names(scratch.path("none")).error().code == ErrorCode::kIo);
}

TEST_CASE("cifar: the real test set has a thousand images of each class") {
  if (tests::absent("cifar10/test_batch.bin")) return;
  const auto set = Dataset::open(tests::shared_file("cifar10/test_batch.bin"), kCifar);
  REQUIRE(set.ok());
  REQUIRE(set->size() == 10000);
  std::vector<int> counts(10);
  for (std::size_t i = 0; i < set->size(); ++i) ++counts[std::size_t(set->label(i))];
  CHECK(counts == std::vector<int>(10, 1000));
  CHECK(set->load(9999).ok());
}
