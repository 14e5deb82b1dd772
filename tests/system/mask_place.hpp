#pragma once
// A model, its program and its images, for tests of masks on the command.

#include <string>
#include <vector>

#include "catch.hpp"
#include "process.hpp"
#include "tiny_model.hpp"

namespace espalier::tests {

/// The tiny model compiled for `nano`, its images, and a folder for files.
struct Place {
  Scratch scratch;
  std::string model = scratch.write("tiny.onnx", tiny_model());
  std::string images = scratch.write("images.npy", tiny_images(4));
  std::string program = scratch.path("tiny.espl");
  std::string mask = scratch.path("user.mask");

  Place() { compile(model, program); }
  [[nodiscard]] Ran run(const std::vector<std::string>& arguments) const {
    return run_espalier(scratch, arguments);
  }
  void compile(const std::string& from, const std::string& to, bool maskable = false) const {
    std::vector<std::string> arguments{"compile",  from,          "-o",          to,
                                       "--config", "nano",        "--calibrate", images,
                                       "--mean",   "0.5,0.5,0.5", "--std",       "0.25,0.25,0.25"};
    if (maskable) arguments.emplace_back("--maskable");
    good(arguments);
  }
  std::string good(const std::vector<std::string>& arguments) const {
    const Ran ran = run(arguments);
    INFO(ran.err);
    REQUIRE(ran.code == 0);
    return ran.out;
  }
  std::string complaint(const std::vector<std::string>& arguments) const {
    const Ran ran = run(arguments);
    REQUIRE(ran.code == 2);
    REQUIRE(ran.out.empty());
    return ran.err;
  }
  std::string scores(const std::string& espl, std::vector<std::string> more) const {
    const std::string output = scratch.path("scores.npy");
    std::vector<std::string> arguments{"run", espl, "--images", images, "--output", output};
    arguments.insert(arguments.end(), more.begin(), more.end());
    good(arguments);
    return slurp(output);
  }
};

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace espalier::tests
