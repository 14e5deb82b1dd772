#pragma once
// `--device`, `--buffer` and `--mem-latency`.

#include <string>
#include <string_view>

#include "flows/run.hpp"
#include "runtime/device.hpp"

namespace espalier::cli {

/// What precedes the device file in `--device fpga:/dev/uio0`.
inline constexpr std::string_view kFpga = "fpga:";

inline constexpr const char* kDeviceNames = "{golden,iss,rtl,fpga:/dev/uioN}";
/// What is wrong with a text that should be one of these; empty: nothing.
std::string refuse_device(const std::string& text);

/// Of a text that is not refused.
runtime::DeviceKind device_kind(const std::string& text);

/// Where the board of such a text is found; `buffer` is the file of its memory, empty: the default.
/// Errors: kUsage where a buffer is named for what is no board.
Result<runtime::FpgaOptions> board_of(const std::string& text, const std::string& buffer);

/// Reads `R` or `R,W`, memory's latencies; an empty text leaves them. Errors: kUsage.
Result<flows::MemoryOptions> parse_latency(const std::string& text);

/// The exit code that a run's result stands for.
int exit_code(const runtime::BatchResult& result);

}  // namespace espalier::cli
