#pragma once
// Several images by one start: a program repeated, so that the machine has no gap between images.

#include "program/program.hpp"

namespace espalier::program {

/// `program` once for each image, with one end. Image i's input lies at i * `input_stride` of
/// region 2, its output at i * `output_stride` of region 3; the others are shared. Its instructions
/// count on from those before it, and its placements follow in order. Weights of the next image
/// come while one ends; its first LOAD into the activation buffer waits for the last reader there.
struct Chain {
  Program program;  ///< not one that `verify` would take: its output is placed once an image
  std::size_t images = 1;
  std::uint32_t stores = 0;                           ///< STOREs of an image
  std::uint32_t input_stride = 0, output_stride = 0;  ///< Units: bytes
};

/// Shapes: images >= 1. Errors: kCapacity where a region would outgrow 31 bits.
Result<Chain> chain(const Program& program, std::size_t images);

/// How many images one start should get: the gap is less than a thousandth of the whole, or
/// instructions and inputs fill a few megabytes.
std::size_t chain_length(const Program& program);

}  // namespace espalier::program
