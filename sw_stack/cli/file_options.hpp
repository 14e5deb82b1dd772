#pragma once
// Options that name files: which a command reads, which it writes, and that these are different
// ones.

#include <CLI/CLI.hpp>

#include "base/result.hpp"

namespace espalier::cli {

/// Marks an option that names a file or folder to read, as in `option->check(reads())`.
CLI::Validator reads();
/// Marks an option that names a file to write. A name that the command derives is given to the
/// option by `CLI::Option::add_result`.
CLI::Validator writes();

/// Looks at all files that the chosen subcommand's options name, before it does any work. However a
/// file is spelled, and whatever links lead to it, it is known by what the file system says that it
/// is. Devices and pipes, which are written as they come, are no files here.
/// Errors: kUsage for a file that two options write, or that one reads and another writes, for a
/// picture of a folder that is read, and for the file that stdout or stderr goes to; kIo for a
/// folder given as a file to write, and for a file in a folder that is not there.
Status check_files(CLI::App& app);

}  // namespace espalier::cli
