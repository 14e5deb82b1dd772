// The page of operators in docs/ against the importers' tables.

#include "cli/operators.hpp"

#include "catch.hpp"
#include "tiny_model.hpp"

using namespace espalier;

TEST_CASE("operators: the page in docs is the tables'") {
  const std::string page =
      tests::slurp(std::string(ESPALIER_SOURCE_DIR) + "/docs/reference/operators.md");
  INFO("espalier ops --markdown > docs/reference/operators.md");
  CHECK(page == cli::operators_page());
}
