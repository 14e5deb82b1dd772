#pragma once
// Ctrl-C and SIGTERM: long work looks here, ends early, and reports what it has.

namespace espalier::runtime {

/// From here on the first SIGINT or SIGTERM is noted; a second one ends the process as usual.
void note_interrupts();
/// The signal that came, or 0.
int interrupted();

}  // namespace espalier::runtime
