#include "runtime/interrupt.hpp"

#include <csignal>

namespace espalier::runtime {
namespace {

// What a signal handler may touch has to be global.
volatile std::sig_atomic_t signal_seen = 0;

void note(int signal) { signal_seen = signal; }

}  // namespace

void note_interrupts() {
  struct sigaction action = {};
  action.sa_handler = note;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int interrupted() { return signal_seen; }

}  // namespace espalier::runtime
