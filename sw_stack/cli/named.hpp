#pragma once
// Options whose texts are the names of an enumeration.

#include <initializer_list>
#include <string>

namespace espalier::cli {

/// The one of `all` with the name `text`, which has been checked: it is one of theirs.
template <typename T>
T named(const std::string& text, std::initializer_list<T> all) {
  for (const T value : all) {
    if (name(value) == text) return value;
  }
  return *all.begin();
}

}  // namespace espalier::cli
