#pragma once
// The operators of a TensorFlow Lite model one after the other, behind refused ones too.

#include <functional>
#include <set>

#include "import/tflite/reader.hpp"

namespace espalier::import_ {

/// Imports all operators by `import`; with `refusals` goes on behind one that is refused, with what
/// `stand_in` defines for each tensor that it makes (false: it cannot).
/// Errors: those of `import`; the first.
Status import_all(const LiteGraph& graph, Refusals* refusals,
                  const std::function<Status(const LiteOp&)>& import,
                  const std::function<bool(int tensor)>& stand_in);

}  // namespace espalier::import_
