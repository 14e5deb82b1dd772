#pragma once
// The operators of models that are imported: what `espalier ops` prints, and the page
// docs/reference/operators.md.

#include <string>

#include "import/operators.hpp"

namespace espalier::cli {

using import_::Operator;
using import_::operators;

/// The page docs/reference/operators.md.
std::string operators_page();

}  // namespace espalier::cli
