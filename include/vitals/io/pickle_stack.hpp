// The stack, memo and input of the pickle reader: everything below the opcodes, with the bounds that keep hostile input
// from taking memory or time. Used by pickle.ipp.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/pickle_values.hpp>

namespace vitals::inline v0::io::detail {

// Bounds on what a pickle may make us hold, far above any checkpoint (one of 10,000 tensors has 200,000 values) and
// about 200 MiB of memory at most.
inline constexpr std::size_t pickle_value_limit = std::size_t{1} << 21;  // values, and entries of the memo
inline constexpr std::size_t pickle_push_limit = std::size_t{1} << 24;   // references put on the stack or copied
inline constexpr std::size_t pickle_line_limit = 4096;                   // bytes of a line of text

// Values are numbers in the arena; the first four are fixed.
struct PickleStack {
  PickleArena& out;
  std::span<const std::byte> bytes;
  const std::string& where;
  std::size_t at = 0;
  std::vector<std::uint32_t> stack, memo;
  std::vector<std::size_t> marks;
  std::size_t pushes = 0;

  static constexpr std::uint32_t none = 0, yes = 1, no = 2, opaque = 3, unset = 0xffffffffu;

  PickleStack(PickleArena& arena, std::span<const std::byte> input, const std::string& file)
      : out(arena), bytes(input), where(file) {
    out.values.resize(4);
    out.values[yes].kind = out.values[no].kind = PickleKind::boolean;
    out.values[yes].integer = 1;
    out.values[opaque].kind = PickleKind::opaque;
  }

  FormatError error(const std::string& what, const std::string& advice = "the file is damaged") const {
    return FormatError("pickle: " + what, where + ", byte " + std::to_string(at) + " of the pickle", advice);
  }

  // --- bytes -----------------------------------------------------------------------------------------------------
  std::string_view take(std::uint64_t n) {
    if (n > bytes.size() - at) throw error("ends in the middle of a value");
    const auto piece = bytes.subspan(at, n);
    at += n;
    return as_text(piece);
  }
  template <class T>
  T number() {
    return load<T>(take(sizeof(T)).data());
  }
  std::string_view line() {
    const auto rest = as_text(bytes.subspan(at)).substr(0, pickle_line_limit);
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) throw error("a line of text without end");
    at += end + 1;
    return rest.substr(0, end);
  }
  std::uint32_t decimal_index() {
    const auto text = line();
    std::uint32_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size()) throw error("a number that is not one");
    return value;
  }

  // --- stack -----------------------------------------------------------------------------------------------------
  void charge(std::size_t n) {
    if (n > pickle_push_limit - pushes) throw error("more values than any checkpoint has", "the file may be hostile");
    pushes += n;
  }
  void push(std::uint32_t value) {
    charge(1);
    stack.push_back(value);
  }
  std::uint32_t make(const PickleValue& value) {
    if (out.values.size() >= pickle_value_limit)
      throw error("more values than any checkpoint has", "the file may be hostile");
    out.values.push_back(value);
    return static_cast<std::uint32_t>(out.values.size() - 1);
  }
  void push_container(PickleKind kind, std::vector<std::uint32_t> items) {
    PickleValue value;
    value.kind = kind;
    value.index = static_cast<std::uint32_t>(out.containers.size());
    const auto made = make(value);
    out.containers.push_back(std::move(items));
    push(made);
  }
  void push_integer(std::int64_t integer) {
    PickleValue value;
    value.kind = PickleKind::integer;
    value.integer = integer;
    push(make(value));
  }
  void push_real(double real) {
    PickleValue value;
    value.kind = PickleKind::real;
    value.real = real;
    push(make(value));
  }
  void push_text(PickleKind kind, std::string_view text) {
    if (text.size() > 0xffffffffu) throw error("a text of " + std::to_string(text.size()) + " bytes");
    PickleValue value;
    value.kind = kind;
    value.index = static_cast<std::uint32_t>(text.size());
    value.text = text.data();
    push(make(value));
  }
  std::string_view text_of(const PickleValue& value) const { return {value.text, value.index}; }
  std::size_t floor() const { return marks.empty() ? 0 : marks.back(); }
  std::uint32_t pop() {
    if (stack.size() <= floor()) throw error("takes a value from an empty stack");
    const auto value = stack.back();
    stack.pop_back();
    return value;
  }
  std::uint32_t& top() {
    if (stack.size() <= floor()) throw error("looks at an empty stack");
    return stack.back();
  }
  std::vector<std::uint32_t> pop_to_mark() {
    if (marks.empty()) throw error("a mark is missing");
    const auto begin = stack.begin() + static_cast<std::ptrdiff_t>(marks.back());
    std::vector<std::uint32_t> items(begin, stack.end());
    stack.erase(begin, stack.end());
    marks.pop_back();
    return items;
  }
  void put(std::uint64_t index) {
    if (index >= pickle_value_limit)
      throw error("a memo number of " + std::to_string(index), "the file may be hostile");
    if (index >= memo.size()) memo.resize(index + 1, unset);
    memo[index] = top();
  }
  void get(std::uint64_t index) {
    if (index >= memo.size() || memo[index] == unset) throw error("recalls what was never stored");
    push(memo[index]);
  }
};

}  // namespace vitals::inline v0::io::detail
