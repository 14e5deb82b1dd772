#include "tests/peers/runtime.hpp"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/whole_file.hpp"

namespace espalier::peers {
namespace {

Status write_bytes(const std::string& path, const void* data, std::size_t size) {
  return espalier::write_file(path, {static_cast<const char*>(data), size});
}

/// The model with the values among its outputs; their types are left to inference.
Result<std::string> with_outputs(const std::string& bytes, const std::vector<std::string>& wanted) {
  onnx::ModelProto model;
  if (!model.ParseFromString(bytes)) return fail(ErrorCode::kMalformed, "is not an ONNX model");
  std::set<std::string> outputs, made;
  for (const auto& output : model.graph().output()) outputs.insert(output.name());
  for (const auto& node : model.graph().node())
    made.insert(node.output().begin(), node.output().end());
  for (const std::string& name : wanted) {
    if (made.count(name) == 0 || !outputs.insert(name).second) continue;
    model.mutable_graph()->add_output()->set_name(name);
  }
  return model.SerializeAsString();
}

int run(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) < 0) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Result<Values> read_values(const std::string& base) {
  const auto list = read_file(base + ".json");
  if (!list) return list.error();
  const auto bytes = read_file(base + ".bin");
  if (!bytes) return bytes.error();
  Values values;
  std::size_t at = 0;
  for (const auto& entry : nlohmann::json::parse(*list)) {
    const auto count = entry.at("count").get<std::size_t>();
    const auto type = entry.at("type").get<std::string>();
    const std::size_t size = type == "int8" || type == "uint8" ? 1 : type == "float32" ? 4 : 0;
    if (size == 0 || at + count * size > bytes->size()) {
      return fail(ErrorCode::kMalformed, "output of type " + type, base);
    }
    if (size == 1) {
      std::vector<std::int8_t> value(bytes->begin() + static_cast<std::ptrdiff_t>(at),
                                     bytes->begin() + static_cast<std::ptrdiff_t>(at + count));
      if (type == "uint8") {
        for (std::int8_t& v : value) v = static_cast<std::int8_t>(v ^ 0x80);
      }
      values.emplace(entry.at("name").get<std::string>(), std::move(value));
    }
    at += count * size;
  }
  return values;
}

}  // namespace

Result<std::vector<Values>> run_runtime(const Places& places, const std::string& label,
                                        const std::string& model, const ir::Shape& shape,
                                        const std::vector<float>& images,
                                        const std::vector<std::string>& wanted) {
  const auto whole = with_outputs(model, wanted);
  if (!whole) return whole.error();
  const std::string base = places.work + "/" + label;
  if (const Status s = write_bytes(base + ".onnx", whole->data(), whole->size()); !s)
    return s.error();
  if (const Status s = write_bytes(base + ".in", images.data(), images.size() * sizeof(float)); !s)
    return s.error();
  const auto count = images.size() / static_cast<std::size_t>(shape.count());
  const int code = run({"node", places.script, places.modules, base + ".onnx", base + ".in",
                        std::to_string(count), std::to_string(shape.c), std::to_string(shape.h),
                        std::to_string(shape.w), base + ".out"});
  if (code != 0) {
    return fail(ErrorCode::kDevice, fmt::format("ONNX Runtime stopped with code {}", code),
                base + ".onnx");
  }
  std::vector<Values> all;
  for (std::size_t i = 0; i < count; ++i) {
    auto values = read_values(base + ".out." + std::to_string(i));
    if (!values) return values.error();
    all.push_back(std::move(*values));
  }
  return all;
}

}  // namespace espalier::peers
