#include "base/processor.hpp"

namespace espalier {

Status check_processor() {
#ifdef ESPALIER_NEEDS_X86_64_V3
  if (__builtin_cpu_supports("avx2") == 0 || __builtin_cpu_supports("fma") == 0 ||
      __builtin_cpu_supports("bmi2") == 0) {
    return fail(ErrorCode::kUnsupported,
                "lacks AVX2 and what else x86-64-v3 has, for which this was built; configure with "
                "-DESPALIER_ARCH= for any x86-64",
                "this processor");
  }
#endif
  return {};
}

}  // namespace espalier
