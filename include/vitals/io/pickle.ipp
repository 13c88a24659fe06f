// Implementation of pickle.hpp. Opcodes as documented in Python's pickletools, protocols 0 to 5.
#pragma once

#include <bit>
#include <charconv>
#include <optional>
#include <unordered_map>

#include <vitals/io/pickle.hpp>
#include <vitals/io/pickle_stack.hpp>

namespace vitals::inline v0::io::detail {

struct PickleMachine : PickleStack {
  using PickleStack::PickleStack;
  std::unordered_map<std::string_view, std::uint32_t> storage_of_key;

  // --- containers -------------------------------------------------------------------------------------------------
  void extend(PickleKind kind, std::span<const std::uint32_t> items, const char* what) {
    const auto& target = out.values[top()];
    if (target.kind == PickleKind::opaque) return;
    if (target.kind != kind) throw error(std::string(what) + " something that is not one");
    if (kind == PickleKind::dict && items.size() % 2 != 0) throw error("a dictionary key without value");
    auto& into = out.containers[target.index];
    into.insert(into.end(), items.begin(), items.end());
  }

  // --- names and calls --------------------------------------------------------------------------------------------
  void push_global(std::string_view module, std::string_view name) {
    for (const auto& known : pickle_names) {
      if (known.module != module || known.name != name) continue;
      PickleValue value;
      value.kind = PickleKind::global;
      value.global = known.global;
      value.dtype = known.dtype;
      return push(make(value));
    }
    throw error("asks for " + printable(std::string(module) + "." + std::string(name)) + ", which tensors do not need",
                "nothing of it was run; save the weights alone, as torch.save(model.state_dict(), file) does");
  }

  const PickleValue& expect(std::uint32_t value, PickleKind kind, const char* what) const {
    const auto& v = out.values[value];
    if (v.kind != kind) throw error(std::string("expected ") + what);
    return v;
  }
  std::uint64_t count(std::uint32_t value, const char* what) const {
    const auto& v = expect(value, PickleKind::integer, what);
    if (v.integer < 0) throw error(std::string(what) + " is negative");
    return static_cast<std::uint64_t>(v.integer);
  }

  // (storage, offset, shape, strides ...)
  PickleValue tensor_value(std::span<const std::uint32_t> parts, std::optional<DType> dtype = {}) {
    PickleTensor tensor;
    tensor.storage = expect(parts[0], PickleKind::storage, "a storage").index;
    tensor.offset = count(parts[1], "the offset of a tensor");
    expect(tensor.shape = parts[2], PickleKind::tuple, "the shape of a tensor");
    expect(tensor.strides = parts[3], PickleKind::tuple, "the strides of a tensor");
    tensor.dtype = dtype.value_or(out.storages[tensor.storage].dtype);
    if (out.tensors.size() >= pickle_value_limit) throw error("more values than any checkpoint has");
    PickleValue value;
    value.kind = PickleKind::tensor;
    value.index = static_cast<std::uint32_t>(out.tensors.size());
    out.tensors.push_back(tensor);
    return value;
  }

  // Attributes are dropped, except those of a tensor class, which are the tensor: (storage, offset, shape, strides),
  // or (tensor, ...) for a parameter.
  void build(std::uint32_t target, std::uint32_t state) {
    const auto kind = out.values[target].kind;
    if (kind == PickleKind::dict || kind == PickleKind::opaque) return;
    if (kind != PickleKind::unbuilt) throw error("sets attributes of a plain value");
    const auto& parts = out.containers[expect(state, PickleKind::tuple, "the state of a tensor").index];
    if (parts.size() == 4)
      out.values[target] = tensor_value(parts);
    else if (parts.size() == 5)
      out.values[target] = expect(parts[0], PickleKind::tensor, "a tensor");
    else
      throw error("a tensor with a state of " + std::to_string(parts.size()) + " parts");
  }

  void call(std::uint32_t callable, std::uint32_t arguments) {
    const auto& function = expect(callable, PickleKind::global, "a name to call");
    const auto& args = out.containers[expect(arguments, PickleKind::tuple, "a tuple of arguments").index];
    const auto need = [&](std::size_t n) {
      if (args.size() < n) throw error("a call with too few arguments");
    };
    switch (function.global) {
      case PickleGlobal::opaque:
        return push(opaque);
      case PickleGlobal::storage_type:
      case PickleGlobal::dtype:
        throw error("calls a type of numbers");
      case PickleGlobal::rebuild_parameter:
        need(1);
        expect(args[0], PickleKind::tensor, "a tensor");
        return push(args[0]);
      case PickleGlobal::size: {
        need(1);
        auto shape = out.values[args[0]];
        if (shape.kind != PickleKind::tuple && shape.kind != PickleKind::list) throw error("expected a tuple of sizes");
        shape.kind = PickleKind::tuple;
        return push(make(shape));
      }
      case PickleGlobal::ordered_dict: {
        std::vector<std::uint32_t> items;
        if (!args.empty()) {  // OrderedDict([[key, value], ...])
          for (const auto pair : out.containers[expect(args[0], PickleKind::list, "a list of pairs").index]) {
            const auto& p = out.values[pair];
            if (p.kind != PickleKind::tuple && p.kind != PickleKind::list) throw error("expected a pair");
            const auto& two = out.containers[p.index];
            if (two.size() != 2) throw error("expected a pair");
            charge(2);
            items.insert(items.end(), two.begin(), two.end());
          }
        }
        return push_container(PickleKind::dict, std::move(items));
      }
      case PickleGlobal::rebuild_tensor:
      case PickleGlobal::rebuild_tensor_v3: {
        const bool typed = function.global == PickleGlobal::rebuild_tensor_v3;
        need(typed ? 7 : 4);  // storage, offset, size, stride, requires_grad, hooks, dtype
        std::optional<DType> dtype;
        if (typed) {
          const auto& type = expect(args[6], PickleKind::global, "a type of numbers");
          if (type.global != PickleGlobal::dtype) throw error("expected a type of numbers");
          dtype = type.dtype;
        }
        return push(make(tensor_value(args, dtype)));
      }
      case PickleGlobal::tensor_class: {
        if (!args.empty()) return expect(args[0], PickleKind::tensor, "a tensor"), push(args[0]);
        PickleValue value;
        value.kind = PickleKind::unbuilt;
        return push(make(value));
      }
    }
  }

  // ("storage", type, key, device, number of elements[, None]); the device does not matter here.
  void push_storage(std::uint32_t id) {
    const auto& parts = out.containers[expect(id, PickleKind::tuple, "the description of a storage").index];
    if (parts.size() < 5 || text_of(expect(parts[0], PickleKind::text, "a text")) != "storage")
      throw error("refers to something that is not a storage");
    const auto& type = expect(parts[1], PickleKind::global, "the type of a storage");
    if (type.global != PickleGlobal::storage_type) throw error("expected the type of a storage");
    if (parts.size() > 5 && parts[5] != none)
      throw error("a view of a storage, as PyTorch 0.3 wrote it", "save it anew");
    PickleStorage storage{text_of(expect(parts[2], PickleKind::text, "the key of a storage")), type.dtype,
                          count(parts[4], "the size of a storage")};
    const auto [known, added] = storage_of_key.emplace(storage.key, static_cast<std::uint32_t>(out.storages.size()));
    if (added) out.storages.push_back(storage);
    const auto& first = out.storages[known->second];
    if (first.dtype != storage.dtype || first.numel != storage.numel)
      throw error("storage " + printable(storage.key) + " is described in two ways");
    PickleValue value;
    value.kind = PickleKind::storage;
    value.index = known->second;
    push(make(value));
  }

  void push_long(std::string_view digits) {  // little-endian, two's complement
    if (digits.size() > 8) return push_text(PickleKind::big_integer, digits);
    std::uint64_t value = digits.empty() || !(digits.back() & 0x80) ? 0 : ~std::uint64_t{0};
    for (std::size_t i = digits.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(digits[i]);
    push_integer(std::bit_cast<std::int64_t>(value));
  }
  void push_decimal(std::string_view text) {
    if (text == "00" || text == "01") return push(text == "01" ? yes : no);
    if (text.ends_with('L')) text.remove_suffix(1);
    std::int64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem == std::errc::invalid_argument || end != text.data() + text.size())
      throw error("a number that is not one");
    if (problem == std::errc::result_out_of_range) return push_text(PickleKind::big_integer, text);
    push_integer(value);
  }
  void push_line_text(std::string_view text, bool quoted) {
    if (quoted) {
      if (text.size() < 2 || text.front() != text.back() || (text[0] != '\'' && text[0] != '"'))
        throw error("a text without quotes");
      text = text.substr(1, text.size() - 2);
    }
    if (text.find('\\') != std::string_view::npos) throw error("an escaped text of protocol 0", "save it anew");
    push_text(PickleKind::text, text);
  }

  bool step();
};

// One opcode; true at STOP.
VITALS_INLINE bool PickleMachine::step() {
  const auto opcode = number<std::uint8_t>();
  // clang-format off
  switch (opcode) {
    case 0x80: take(1); break;  // PROTO
    case 0x95: take(8); break;  // FRAME
    case '.': return true;  // STOP
    case '(': charge(1), marks.push_back(stack.size()); break;
    case '0':  // POP, of a mark too
      if (!marks.empty() && stack.size() == marks.back())
        marks.pop_back();
      else
        pop();
      break;
    case '1': pop_to_mark(); break;
    case '2': push(top()); break;
    case 'N': push(none); break;
    case 0x88: push(yes); break;
    case 0x89: push(no); break;
    case 'J': push_integer(number<std::int32_t>()); break;
    case 'K': push_integer(number<std::uint8_t>()); break;
    case 'M': push_integer(number<std::uint16_t>()); break;
    case 'I':
    case 'L': push_decimal(line()); break;
    case 0x8a: push_long(take(number<std::uint8_t>())); break;
    case 0x8b: push_long(take(number<std::uint32_t>())); break;
    case 'G': {  // big-endian
      std::uint64_t bits = 0;
      for (const char c : take(8)) bits = bits << 8 | static_cast<unsigned char>(c);
      push_real(std::bit_cast<double>(bits));
      break;
    }
    case 'F': {
      const auto text = line();
      double value = 0;
      if (std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc::invalid_argument)
        throw error("a number that is not one");
      push_real(value);
      break;
    }
    case 'V': push_line_text(line(), false); break;
    case 'S': push_line_text(line(), true); break;
    case 0x8c:
    case 'U': push_text(PickleKind::text, take(number<std::uint8_t>())); break;
    case 'X':
    case 'T': push_text(PickleKind::text, take(number<std::uint32_t>())); break;
    case 0x8d: push_text(PickleKind::text, take(number<std::uint64_t>())); break;
    case 'C': push_text(PickleKind::bytes, take(number<std::uint8_t>())); break;
    case 'B': push_text(PickleKind::bytes, take(number<std::uint32_t>())); break;
    case 0x8e:
    case 0x96: push_text(PickleKind::bytes, take(number<std::uint64_t>())); break;
    case ']':
    case 0x8f: push_container(PickleKind::list, {}); break;  // a set is held as a list
    case 'l':
    case 0x91: push_container(PickleKind::list, pop_to_mark()); break;
    case 'a': {
      const std::uint32_t item[] = {pop()};
      extend(PickleKind::list, item, "appends to");
      break;
    }
    case 'e':
    case 0x90: extend(PickleKind::list, pop_to_mark(), "appends to"); break;
    case ')': push_container(PickleKind::tuple, {}); break;
    case 't': push_container(PickleKind::tuple, pop_to_mark()); break;
    case 0x85:
    case 0x86:
    case 0x87: {
      std::vector<std::uint32_t> items(opcode - 0x84u);
      for (std::size_t i = items.size(); i-- > 0;) items[i] = pop();
      push_container(PickleKind::tuple, std::move(items));
      break;
    }
    case '}': push_container(PickleKind::dict, {}); break;
    case 'd':
      push_container(PickleKind::dict, pop_to_mark());
      if (out.containers.back().size() % 2 != 0) throw error("a dictionary key without value");
      break;
    case 's': {
      const auto value = pop(), key = pop();
      const std::uint32_t item[] = {key, value};
      extend(PickleKind::dict, item, "sets an item of");
      break;
    }
    case 'u': extend(PickleKind::dict, pop_to_mark(), "sets items of"); break;
    case 'c': {
      const auto module = line(), name = line();
      push_global(module, name);
      break;
    }
    case 0x93: {
      const auto name = pop(), module = pop();
      push_global(text_of(expect(module, PickleKind::text, "the name of a module")),
                  text_of(expect(name, PickleKind::text, "a name in a module")));
      break;
    }
    case 'i': {  // INST: a name, then the arguments since the mark
      const auto module = line(), name = line();
      push_container(PickleKind::tuple, pop_to_mark());
      const auto arguments = pop();
      push_global(module, name);
      call(pop(), arguments);
      break;
    }
    case 'R':
    case 0x81: {  // NEWOBJ
      const auto arguments = pop(), callable = pop();
      call(callable, arguments);
      break;
    }
    case 'b': {  // BUILD
      const auto state = pop();
      build(top(), state);
      break;
    }
    case 'Q': push_storage(pop()); break;
    case 'p': put(decimal_index()); break;
    case 'q': put(number<std::uint8_t>()); break;
    case 'r': put(number<std::uint32_t>()); break;
    case 0x94: put(memo.size()); break;
    case 'g': get(decimal_index()); break;
    case 'h': get(number<std::uint8_t>()); break;
    case 'j': get(number<std::uint32_t>()); break;
    default: {
      static constexpr char digits[] = "0123456789abcdef";
      throw error(
          std::string("opcode 0x") + digits[opcode >> 4] + digits[opcode & 15] + " is not one that tensors need",
          "the file is damaged, or holds more than weights");
    }
  }
  // clang-format on
  return false;
}

VITALS_INLINE Pickle::Pickle(std::span<const std::byte> bytes, const std::string& where) {
  PickleMachine machine(arena_, bytes, where);
  while (!machine.step()) {
  }
  root_ = machine.pop();
  consumed_ = machine.at;
}

}  // namespace vitals::inline v0::io::detail
