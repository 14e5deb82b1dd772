#pragma once
// The time after the switch: the user's own model answers, and the generic one again where it must.

#include "flows/personalise/lesson.hpp"
#include "flows/personalise/subject.hpp"

namespace espalier::flows {

/// The user's model.
struct Personal {
  const ir::QuantGraph& graph;  ///< all outputs, or those of the user's classes only
  const program::Program& program;
};

/// Serves the stream from where the lesson ended; `result` gets what it finds, and the answers.
/// Errors: those of the images and of the device.
Status serve(const PersonaliseOptions& options, const Subject& subject, const Personal& personal,
             const personal::Samples& held, const UserStream& stream, Server& server,
             const Listener& listener, Personalised& result);

}  // namespace espalier::flows
