// `espalier images degrade`: what it writes, and what it refuses.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "process.hpp"

using Catch::Contains;
using espalier::tests::run_espalier;
using espalier::tests::Scratch;
using espalier::tests::slurp;

namespace {

/// Ten CIFAR-10 records.
std::string pictures() {
  std::string bytes;
  for (int i = 0; i < 10; ++i) {
    bytes += static_cast<char>(i);
    for (int k = 0; k < 3072; ++k) bytes += static_cast<char>((i * 31 + k * k / 7) % 256);
  }
  return bytes;
}

}  // namespace

TEST_CASE(
    "images degrade: kinds in their order, labels kept, the same with any number of threads") {
  const Scratch scratch;
  const std::string in = scratch.write("in.bin", pictures());
  const auto made = [&](const std::string& name, std::vector<std::string> kinds) {
    std::vector<std::string> words{"images", "degrade", in, "-o", scratch.path(name)};
    words.insert(words.end(), kinds.begin(), kinds.end());
    const auto ran = run_espalier(scratch, words);
    INFO(ran.err);
    REQUIRE(ran.code == 0);
    return slurp(scratch.path(name));
  };
  const std::string first = made("a.bin", {"--dark", "0.5", "--noise", "0.1", "--jobs", "1"});
  CHECK(first != pictures());
  CHECK(made("b.bin", {"--dark", "0.5", "--noise", "0.1", "--jobs", "3"}) == first);
  CHECK(made("c.bin", {"--noise", "0.1", "--dark", "0.5"}) != first);
  CHECK(made("d.bin", {"--dark", "0.5", "--noise", "0.1", "--seed", "2"}) != first);
  for (std::size_t i = 0; i < 10; ++i) CHECK(first[i * 3073] == static_cast<char>(i));
  CHECK(made("e.bin", {"--corruption", "jpeg_compression", "--severity", "5"}) ==
        made("f.bin", {"--jpeg", "40"}));
}

TEST_CASE("images degrade: says what it did, as JSON too") {
  const Scratch scratch;
  const std::string in = scratch.write("in.bin", pictures());
  const auto ran = run_espalier(scratch, {"images", "degrade", in, "-o", scratch.path("out.bin"),
                                          "--fog", "1.5,1.75", "--json"});
  REQUIRE(ran.code == 0);
  const auto json = nlohmann::json::parse(ran.out);
  CHECK(json["images"] == 10);
  CHECK(json["kinds"] == nlohmann::json{"fog 1.5,1.75"});
  CHECK(json["psnr_db"].get<double>() > 0);
}

TEST_CASE("images degrade: what is refused leaves nothing") {
  const Scratch scratch;
  const std::string in = scratch.write("in.bin", pictures());
  const std::string out = scratch.path("out.bin");
  const auto refused = [&](std::vector<std::string> words, const std::string& message) {
    words.insert(words.begin(), {"images", "degrade"});
    const auto ran = run_espalier(scratch, words);
    INFO(ran.err);
    CHECK(ran.code == 2);
    CHECK_THAT(ran.err, Contains(message));
    CHECK_FALSE(std::filesystem::exists(out));
  };
  refused({in, "-o", out}, "name a kind of degradation");
  refused({in, "-o", out, "--jpeg"}, "--jpeg");
  refused({in, "-o", out, "--jpeg", "0"}, "--jpeg: `0` is no whole number from 1 to 100");
  refused({in, "-o", out, "--severity", "2"}, "--severity");
  refused({in, "-o", out, "--corruption", "fog"}, "needs --severity 1 to 5");
  refused({in, "-o", out, "--corruption", "frost", "--severity", "2"}, "`frost` is none of");
  refused({scratch.path("none.bin"), "-o", out, "--dark", "0.1"}, "does not exist");
  refused({scratch.write("half.bin", "x"), "-o", out, "--dark", "0.1"}, "a multiple of 3073");
  refused({in, "-o", scratch.path("out.npy"), "--dark", "0.1"}, "becomes a .bin file");
}
