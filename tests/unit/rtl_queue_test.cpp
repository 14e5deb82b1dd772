// esp_queue: order, capacity, dependencies across the wrap of the counts, nops.

#include <deque>
#include <random>

#include "Vrtl_queue.h"
#include "catch.hpp"
#include "seed.hpp"
#include "verilated_block.hpp"

using namespace espalier;
using isa::Engine;

namespace {

constexpr std::size_t kCapacity = 5;  // four entries and the head

class QueueTester {
 public:
  QueueTester() {
    queue_->hold_i = queue_->in_valid_i = queue_->out_ready_i = 0;
    queue_.reset();
  }
  void retired(Engine engine, std::uint16_t count) {
    auto* halves = reinterpret_cast<std::uint16_t*>(&queue_->retired_i);
    halves[static_cast<std::size_t>(engine)] = count;
  }
  /// Offers an instruction for one cycle; whether it was taken.
  bool push(const isa::Instruction& instruction, std::uint32_t address) {
    tests::put_instruction(queue_->in_data_i, instruction);
    queue_->in_address_i = address;
    queue_->in_valid_i = 1;
    queue_.settle();
    const bool taken = queue_->in_ready_o;
    queue_.edge();
    queue_->in_valid_i = 0;
    queue_.settle();
    return taken;
  }
  /// Once the head has been read and its dependencies looked at.
  bool valid() {
    look();
    return queue_->out_valid_o;
  }
  bool nop_retires() {
    look();
    return queue_->nop_retire_o;
  }
  std::uint32_t pop() {
    queue_->out_ready_i = 1;
    queue_.settle();
    const std::uint32_t address = queue_->out_address_o;
    queue_.edge();
    queue_->out_ready_i = 0;
    queue_.settle();
    return address;
  }
  void look() {
    for (int i = 0; i < 5; ++i) {
      queue_.settle();
      if (queue_->out_valid_o || queue_->nop_retire_o) return;
      queue_.edge();
    }
    queue_.settle();
  }
  void tick() {
    queue_.settle();
    queue_.edge();
    queue_.settle();
  }
  tests::VerilatedBlock<Vrtl_queue>& block() { return queue_; }

 private:
  tests::VerilatedBlock<Vrtl_queue> queue_;
};

isa::Instruction waiting(Engine engine, std::uint16_t count, int slot = 0) {
  isa::Instruction instruction = isa::Load{};
  std::array<isa::Dependency, 3> dependencies{};
  dependencies[static_cast<std::size_t>(slot)] = {engine, count};
  isa::set_dependencies(instruction, dependencies);
  return instruction;
}

}  // namespace

TEST_CASE("queue: keeps order and holds five instructions under random traffic") {
  INFO("seed " << tests::seed());
  std::mt19937_64 random(tests::seed());
  QueueTester tester;
  auto& queue = tester.block();
  std::deque<std::uint32_t> model;
  std::uint32_t next = 16, full = 0, at_head = 0;
  for (int i = 0; i < 5000; ++i) {
    const bool busy = (i / 500) % 2 != 0;
    const bool offer = random() % 4 < (busy ? 3 : 1), take = random() % 4 < (busy ? 1 : 3);
    tests::put_instruction(queue->in_data_i, waiting(Engine::kNone, 0));
    queue->in_address_i = next;
    queue->in_valid_i = offer;
    queue->out_ready_i = take;
    queue.settle();
    // One that comes to the head, or enters an empty queue, shows in the second cycle after that.
    REQUIRE(queue->out_valid_o == (!model.empty() && at_head >= 1));
    if (!model.empty()) REQUIRE(queue->out_address_o == model.front());
    full += model.size() == kCapacity;
    if (model.size() == kCapacity) REQUIRE_FALSE(queue->in_ready_o);
    if (model.size() + 1 < kCapacity) REQUIRE(queue->in_ready_o);
    const bool pushed = offer && queue->in_ready_o, popped = take && queue->out_valid_o;
    queue.edge();
    at_head = popped || model.empty() ? 0 : at_head + 1;
    if (popped) model.pop_front();
    if (pushed) {
      model.push_back(next);
      next += 16;
    }
  }
  REQUIRE(full > 100);
}

TEST_CASE("queue: each of the three dependencies holds the head until its count is reached") {
  for (int slot = 0; slot < 3; ++slot) {
    QueueTester tester;
    REQUIRE(tester.push(waiting(Engine::kStore, 3, slot), 0));
    REQUIRE_FALSE(tester.valid());
    REQUIRE(tester.block()->wait_o);
    tester.retired(Engine::kPost, 100);
    REQUIRE_FALSE(tester.valid());
    tester.retired(Engine::kStore, 2);
    REQUIRE_FALSE(tester.valid());
    tester.retired(Engine::kStore, 3);
    REQUIRE(tester.valid());
    REQUIRE_FALSE(tester.block()->wait_o);
  }
}

TEST_CASE("queue: counts compare modulo 65536") {
  QueueTester tester;
  tester.retired(Engine::kExec, 65530);
  REQUIRE(tester.push(waiting(Engine::kExec, 5), 0));
  tester.tick();
  REQUIRE_FALSE(tester.valid());
  tester.retired(Engine::kExec, 4);
  REQUIRE_FALSE(tester.valid());
  tester.retired(Engine::kExec, 5);
  REQUIRE(tester.valid());
  tester.retired(Engine::kExec, 65530);  // as if the count had never moved: one not yet latched
  tester.pop();
  tester.retired(Engine::kExec, 5);
  REQUIRE(tester.push(waiting(Engine::kExec, 65533), 16));
  REQUIRE(tester.valid());
}

TEST_CASE("queue: a dependency that has held once holds while another is waited for") {
  QueueTester tester;
  isa::Instruction instruction = isa::Load{};
  isa::set_dependencies(instruction, {isa::Dependency{Engine::kExec, 1}, {Engine::kPool, 1}, {}});
  REQUIRE(tester.push(instruction, 0));
  tester.retired(Engine::kExec, 1);
  for (int i = 0; i < 3; ++i) tester.tick();  // read, then looked at
  tester.retired(Engine::kExec, 40000);       // 2^15 and more past it
  tester.tick();
  REQUIRE_FALSE(tester.valid());
  tester.retired(Engine::kPool, 1);
  REQUIRE(tester.valid());
}

TEST_CASE("queue: a nop retires in the queue, after everything before it") {
  QueueTester tester;
  isa::Nop nop;
  nop.engine = static_cast<std::uint32_t>(Engine::kLoadA);
  REQUIRE(tester.push(waiting(Engine::kNone, 0), 0));
  REQUIRE(tester.push(nop, 16));
  REQUIRE(tester.push(waiting(Engine::kNone, 0), 32));
  REQUIRE(tester.valid());
  REQUIRE(tester.pop() == 0);
  for (int i = 0; i < 3; ++i) {
    REQUIRE_FALSE(tester.valid());
    REQUIRE_FALSE(tester.nop_retires());
    tester.tick();
  }
  tester.retired(Engine::kLoadA, 1);
  REQUIRE(tester.nop_retires());
  tester.tick();
  tester.retired(Engine::kLoadA, 2);
  REQUIRE_FALSE(tester.nop_retires());
  REQUIRE(tester.valid());
  REQUIRE(tester.pop() == 32);
}

TEST_CASE("queue: nothing leaves while the machine is halted, and clear empties it") {
  QueueTester tester;
  REQUIRE(tester.push(waiting(Engine::kNone, 0), 0));
  tester.block()->hold_i = 1;
  REQUIRE_FALSE(tester.valid());
  tester.block()->hold_i = 0;
  REQUIRE(tester.valid());
  tester.block()->clear_i = 1;
  tester.tick();
  tester.block()->clear_i = 0;
  REQUIRE_FALSE(tester.valid());
}
