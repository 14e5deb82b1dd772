#pragma once
// `--form`, as commands that write ONNX take it.

#include <CLI/CLI.hpp>
#include <string>

#include "cli/named.hpp"
#include "export/onnx_writer.hpp"

namespace espalier::cli {

inline void add_form(CLI::App& command, std::string& form, const std::string& what) {
  command.add_option("--form", form, what)
      ->type_name("FORM")
      ->check(CLI::IsMember({"qdq", "qoperator"}))
      ->capture_default_str();
}

/// Of a text that is not refused.
inline export_::Form form_of(const std::string& text) {
  return named(text, {export_::Form::kQdq, export_::Form::kQoperator});
}

}  // namespace espalier::cli
