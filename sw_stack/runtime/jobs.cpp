#include "runtime/jobs.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "runtime/interrupt.hpp"
#include "base/bytes.hpp"

namespace espalier::runtime {
namespace {

enum class Kind : std::uint8_t { kRecord, kError };
constexpr std::size_t kHeader = 9;  // kind, length

struct Child {
  pid_t id = -1;
  int pipe = -1;
  std::vector<std::uint8_t> data;  // received and not yet whole
};

bool write_all(int file, std::span<const std::uint8_t> data) {
  while (!data.empty()) {
    const ssize_t done = write(file, data.data(), data.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    data = data.subspan(static_cast<std::size_t>(done));
  }
  return true;
}

bool send_message(int file, Kind kind, std::span<const std::uint8_t> data) {
  ByteWriter head;
  head.put(static_cast<std::uint8_t>(kind));
  head.put_bytes(data);
  return write_all(file, head.bytes());
}

/// The parent is told of what is thrown as of any error.
Status guarded(int job, const Work& work, const Send& send) {
  try {
    return work(job, send);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kCapacity, "out of memory", "job " + std::to_string(job));
  } catch (const std::exception& error) {
    return fail(ErrorCode::kIo, error.what(), "job " + std::to_string(job));
  }
}

std::vector<std::uint8_t> encoded(const Diagnostic& error) {
  ByteWriter out;
  out.put(static_cast<std::uint32_t>(error.code));
  out.put_string(error.message);
  out.put_string(error.place);
  return out.take();
}

/// The child's life.
[[noreturn]] void live(int job, int pipe, const Work& work) {
  const Status status = guarded(job, work, [pipe](std::span<const std::uint8_t> record) {
    // A parent that is gone needs no more records.
    if (!send_message(pipe, Kind::kRecord, record)) _exit(1);
  });
  if (!status) send_message(pipe, Kind::kError, encoded(status.error()));
  _exit(0);  // the parent's buffers and files are not ours to close
}

class Family {
 public:
  Family(const Work& work, const Receive& receive) : work_(work), receive_(receive) {}
  ~Family() {
    for (Child& child : children_) {
      if (child.pipe >= 0) close(child.pipe);
      if (child.id <= 0) continue;
      kill(child.id, SIGKILL);
      waitpid(child.id, nullptr, 0);
    }
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;

  Status run(int jobs) {
    errors_.resize(static_cast<std::size_t>(jobs));
    std::fflush(nullptr);  // or every child would have the text that waits
    for (int job = 0; job < jobs; ++job) {
      if (Status status = start(job); !status) return status;
    }
    if (Status status = listen(); !status) return status;
    for (std::size_t i = 0; i < children_.size(); ++i) end(i);
    for (Status& error : errors_) {
      if (!error) return error;
    }
    return {};
  }

 private:
  Status start(int job) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) return trouble("pipe");
    const pid_t id = fork();
    if (id < 0) {
      close(ends[0]);
      close(ends[1]);
      return trouble("process");
    }
    if (id == 0) {
      close(ends[0]);
      for (const Child& other : children_) close(other.pipe);
      children_.clear();
      live(job, ends[1], work_);
    }
    close(ends[1]);
    children_.push_back({id, ends[0], {}});
    return {};
  }
  static Status trouble(const std::string& what) {
    return fail(ErrorCode::kIo, "cannot make a " + what + ": " + std::strerror(errno), "--jobs");
  }

  Status listen() {
    bool passed_on = false;
    for (;;) {
      if (interrupted() != 0 && !passed_on) {
        for (const Child& child : children_) kill(child.id, interrupted());
        passed_on = true;
      }
      std::vector<pollfd> files;
      std::vector<std::size_t> of;
      for (std::size_t i = 0; i < children_.size(); ++i) {
        if (children_[i].pipe < 0) continue;
        files.push_back({children_[i].pipe, POLLIN, 0});
        of.push_back(i);
      }
      if (files.empty()) return {};
      constexpr int kMilliseconds = 200;  // an interrupt is seen at least so often
      if (poll(files.data(), files.size(), kMilliseconds) < 0 && errno != EINTR)
        return trouble("wait");
      for (std::size_t f = 0; f < files.size(); ++f) {
        if (files[f].revents == 0) continue;
        if (Status status = take(of[f]); !status) return status;
      }
    }
  }

  Status take(std::size_t index) {
    Child& child = children_[index];
    std::array<std::uint8_t, 65536> buffer{};
    const ssize_t count = read(child.pipe, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) return {};
    if (count <= 0) {
      close(child.pipe);
      child.pipe = -1;
      return {};
    }
    child.data.insert(child.data.end(), buffer.begin(), buffer.begin() + count);
    for (;;) {
      ByteReader reader(child.data);
      const auto kind = static_cast<Kind>(reader.get<std::uint8_t>());
      const auto size = reader.get<std::uint64_t>();
      if (!reader.ok() || reader.remaining() < size) return {};
      const auto message = std::span(child.data).subspan(kHeader, size);
      if (kind == Kind::kError) {
        ByteReader error(message);
        const auto code = static_cast<ErrorCode>(error.get<std::uint32_t>());
        const std::string text = error.get_string();
        errors_[index] = fail(code, text, error.get_string());
      } else if (Status status = receive_(message); !status) {
        return status;
      }
      child.data.erase(child.data.begin(),
                       child.data.begin() + static_cast<std::ptrdiff_t>(kHeader + size));
    }
  }

  void end(std::size_t index) {
    Child& child = children_[index];
    int how = 0;
    while (waitpid(child.id, &how, 0) < 0 && errno == EINTR) {
    }
    child.id = -1;
    if (!errors_[index].ok() || (WIFEXITED(how) && WEXITSTATUS(how) == 0)) return;
    errors_[index] =
        fail(ErrorCode::kDevice,
             WIFSIGNALED(how) ? "ended by signal " + std::to_string(WTERMSIG(how)) : "ended early",
             "job " + std::to_string(index));
  }

  const Work& work_;
  const Receive& receive_;
  std::vector<Child> children_;
  std::vector<Status> errors_;
};

}  // namespace

Status run_jobs(int jobs, const Work& work, const Receive& receive) {
  return Family(work, receive).run(jobs);
}

}  // namespace espalier::runtime
