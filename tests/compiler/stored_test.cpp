// Bytes in program files: as they are, or as a bit map and the bytes that are not zero.

#include <algorithm>
#include <catch.hpp>

#include "compiler/compiler.hpp"
#include "graphs.hpp"
#include "iss/run.hpp"
#include "program/program.hpp"
#include "program/stored_bytes.hpp"
#include "seed.hpp"

namespace espalier::tests {
namespace {

std::vector<std::uint8_t> random_bytes(std::mt19937_64& random, std::size_t size, double zeros) {
  std::vector<std::uint8_t> bytes(size);
  std::bernoulli_distribution zero(zeros);
  for (auto& byte : bytes) byte = zero(random) ? 0 : static_cast<std::uint8_t>(random());
  return bytes;
}

std::vector<std::uint8_t> stored(std::span<const std::uint8_t> bytes) {
  ByteWriter out;
  program::put_stored(out, bytes);
  return out.take();
}

/// Whether `file` reads as `bytes`, to its end.
bool reads_as(std::span<const std::uint8_t> file, const std::vector<std::uint8_t>& bytes) {
  ByteReader in(file);
  return program::get_stored(in) == bytes && in.ok() && in.remaining() == 0;
}

bool refused(std::span<const std::uint8_t> file) {
  ByteReader in(file);
  return program::get_stored(in).empty() && !in.ok();
}

/// 64 to 128 channels, 3 x 3 and 1 x 1; that part of the weights is zero, without structure.
ir::QuantGraph network(double zeros) {
  GraphBuilder b(7);
  const int first = b.conv(b.input(64, 8, 8), 128, 3);
  auto graph = b.finish(b.conv(first, 128, 1));
  std::mt19937_64 random(tests::seed());
  std::bernoulli_distribution zero(zeros);
  for (auto& node : graph.nodes) {
    for (auto& weight : std::get<ir::QuantConv>(node.op).weights) {
      if (weight == 0) weight = 1;
      if (zero(random)) weight = 0;
    }
  }
  return graph;
}

}  // namespace

TEST_CASE("stored bytes: come back, whatever they are") {
  std::mt19937_64 random(tests::seed());
  for (const double zeros : {0.0, 0.1, 0.5, 0.9, 1.0}) {
    for (const std::size_t size : {0, 1, 7, 8, 9, 63, 64, 65, 1000, 4099}) {
      const auto bytes = random_bytes(random, size, zeros);
      const auto file = stored(bytes);
      CHECK(reads_as(file, bytes));
      CHECK(file.size() <= size + 9);
      if (size > 0) {
        auto other = bytes;
        other.back() ^= 1;
        CHECK_FALSE(reads_as(file, other));
      }
    }
  }
}

TEST_CASE("stored bytes: what is cut or disagrees with itself is refused") {
  std::mt19937_64 random(tests::seed());
  const auto file = stored(random_bytes(random, 203, 0.6));
  REQUIRE(file[0] == 1);
  for (std::size_t size = 0; size < file.size(); ++size)
    CHECK(refused(std::span(file).first(size)));
  const auto with = [&](std::size_t at, int change) {
    auto bytes = file;
    bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ change);
    return bytes;
  };
  CHECK(refused(with(0, 3)));          // a form that there is not
  CHECK(refused(with(8, 0x80)));       // a length that no file has
  CHECK(refused(with(9, 1)));          // a bit more or less than bytes
  CHECK(refused(with(34, 0x80)));      // a bit past the end: 26 bytes of bits for 203 bytes
  CHECK(refused(with(43, file[43])));  // a zero among the others
}

TEST_CASE("program: half of the weights zero take at most 0.65 of the file, and change no output") {
  const isa::Config& config = *isa::find_config("edge");
  const auto dense = compiler::compile(network(0), config);
  const auto sparse = compiler::compile(network(0.5), config);
  REQUIRE(dense);
  REQUIRE(sparse);
  const auto dense_file = program::serialise(*dense), sparse_file = program::serialise(*sparse);
  CHECK(static_cast<double>(sparse_file.size()) <= 0.65 * static_cast<double>(dense_file.size()));
  const auto again = program::parse(sparse_file, "p");
  REQUIRE(again);
  CHECK(again->constants == sparse->constants);
  CHECK(again->instructions == sparse->instructions);
  const auto image = random_image(sparse->graph, tests::seed());
  const auto before = iss::run(*sparse, image), after = iss::run(*again, image);
  REQUIRE(before);
  REQUIRE(after);
  CHECK(after->output == before->output);
}

}  // namespace espalier::tests
