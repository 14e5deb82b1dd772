#pragma once
// Files that are read and written as a whole: the one reader and the one writer.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace espalier {

/// All bytes of a file, or of a pipe until its end. Errors: kIo, also where reading stops early.
Result<std::string> read_file(const std::string& path);

/// Writes a file that is there whole or not at all, whenever the process or the machine is stopped:
/// writes another beside it, brings that to the disk, and renames it. What was there stays until
/// then, and for good where this fails; links are followed, and the file keeps its mode. Devices
/// and pipes are written as they are; /dev/stdout and /dev/stderr behind what was printed.
/// Errors: kIo.
Status write_file(const std::string& path, std::string_view bytes);
Status write_file(const std::string& path, std::span<const std::uint8_t> bytes);

}  // namespace espalier
