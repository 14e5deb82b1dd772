#pragma once
// Results with diagnostics: every reader of outside data returns one of these and never throws.

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace espalier {

/// What kind of complaint a diagnostic is.
enum class ErrorCode {
  kIo,           ///< a file cannot be read or written
  kMalformed,    ///< the bytes are not what their format says
  kUnsupported,  ///< well formed, but outside what Espalier does
  kShape,        ///< shapes that do not agree
  kRange,        ///< a value outside its limits
  kCapacity,     ///< does not fit into a buffer or an address space
  kMismatch,     ///< a file made for another model, configuration or version
  kUsage,        ///< an option that makes no sense
  kDevice,       ///< the machine raised a fault or stopped answering
};

/// One complaint: what is wrong and where. Messages are lower case with no full stop and give
/// the value and the limit: `tile has 20 rows; the array has 16`.
struct Diagnostic {
  ErrorCode code = ErrorCode::kMalformed;
  std::string message;
  std::string place;                ///< file, node or field; may be empty
  std::vector<std::string> more{};  ///< lines for a reader about what else is wrong

  /// `place: message`, or the message alone.
  [[nodiscard]] std::string text() const {
    return place.empty() ? message : place + ": " + message;
  }
};

/// A value or a diagnostic.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}                     // NOLINT: implicit on purpose
  Result(Diagnostic diagnostic) : state_(std::move(diagnostic)) {}  // NOLINT

  [[nodiscard]] bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] T& value() & { return std::get<T>(state_); }
  [[nodiscard]] const T& value() const& { return std::get<T>(state_); }
  [[nodiscard]] T value() && { return std::get<T>(std::move(state_)); }
  [[nodiscard]] const Diagnostic& error() const { return std::get<Diagnostic>(state_); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Diagnostic> state_;
};

/// Success or a diagnostic.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Diagnostic diagnostic) : error_(std::move(diagnostic)) {}  // NOLINT: implicit on purpose

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Diagnostic& error() const { return *error_; }

 private:
  std::optional<Diagnostic> error_;
};

}  // namespace espalier
