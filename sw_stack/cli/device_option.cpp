#include "cli/device_option.hpp"

#include <fmt/format.h>

#include "cli/common.hpp"

namespace espalier::cli {

std::string refuse_device(const std::string& text) {
  if (text == "golden" || text == "iss" || text == "rtl") return {};
  if (text.starts_with(kFpga) && text.size() > kFpga.size()) return {};
  return text + " not in " + kDeviceNames;
}

runtime::DeviceKind device_kind(const std::string& text) {
  if (text.starts_with(kFpga)) return runtime::DeviceKind::kFpga;
  return *runtime::find_device(text);
}

Result<runtime::FpgaOptions> board_of(const std::string& text, const std::string& buffer) {
  runtime::FpgaOptions board;
  if (text.starts_with(kFpga)) {
    board.uio = text.substr(kFpga.size());
    if (!buffer.empty()) board.buffer = buffer;
  } else if (!buffer.empty()) {
    return fail(ErrorCode::kUsage, "is memory of a board; take --device fpga:/dev/uioN",
                "--buffer");
  }
  return board;
}

Result<flows::MemoryOptions> parse_latency(const std::string& text) {
  flows::MemoryOptions memory;
  if (text.empty()) return memory;
  const auto values = parse_wholes("--mem-latency", text, 1, 10000);
  if (!values) return values.error();
  if (values->size() > 2) {
    return fail(ErrorCode::kUsage,
                fmt::format("`{}` has {} numbers; R or R,W", text, values->size()),
                "--mem-latency");
  }
  memory.read_latency = static_cast<int>((*values)[0]);
  if (values->size() == 2) memory.write_latency = static_cast<int>((*values)[1]);
  return memory;
}

int exit_code(const runtime::BatchResult& result) {
  if (result.interrupted != 0) return kInterrupted + result.interrupted;
  return result.comparison.mismatches == 0 ? kOk : kDiffers;
}

}  // namespace espalier::cli
