#include <ashlar/pg/params.hpp>

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>

#include <ashlar/pg/detail/numeric.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/wire.hpp>

namespace ashlar::pg {

void Params::grow(std::size_t n) {
  constexpr std::size_t kLongest = (1U << 30) - 65'536;  // PostgreSQL takes no message of 1 GiB (MaxAllocSize)
  if (n > kLongest || size_ + n > kLongest)
    throw BadArgument("the arguments of one query are longer than the 1 GiB that PostgreSQL takes at a time");
  std::size_t capacity = capacity_ * 2;
  while (capacity < size_ + n) capacity *= 2;
  std::unique_ptr<char[]> bigger(new char[capacity]);
  std::memcpy(bigger.get(), data(), size_);
  heap_ = std::move(bigger);
  capacity_ = capacity;
}

namespace detail {
namespace {

class Writer {
 public:
  Writer(Buffer& out, const TypeMap& types, std::string_view canonical)
      : out_(out), types_(types), p_(canonical.data()), end_(p_ + canonical.size()) {}

  /// Length and bytes of the next value.
  void value(Oid type);
  std::size_t number = 0;  // of the parameter, for messages; 0: there is one value

 private:
  template <class T>
  static T load(const char* p) noexcept {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
  template <class Int>
  void narrow(std::int64_t value, Oid type) {
    if (value < std::numeric_limits<Int>::min() || value > std::numeric_limits<Int>::max()) {
      throw BadArgument(fmt::format("{} is out of range for {}: {}", subject(), types_.name(type), value));
    }
    wire::put<std::uint32_t>(out_, sizeof(Int));
    wire::put(out_, static_cast<Int>(value));
  }
  [[nodiscard]] std::string subject() const {
    return number == 0 ? std::string("the value") : fmt::format("argument {}", number);
  }
  [[noreturn]] void unfit(const char* what, Oid type) const {
    throw BadArgument(fmt::format("{} is {}, which does not fit the {} {}", subject(), what,
                                  number == 0 ? "type" : "parameter's type", types_.name(type)));
  }
  void integer(std::int64_t value, Oid type);
  void real(double value, Oid type);
  void numeric(std::string_view text, Oid type);
  void text(std::string_view text, Oid type);
  void array(std::uint32_t count, Oid type);
  void composite(std::uint32_t count, Oid type);
  void range(std::uint8_t flags, Oid type);
  void multirange(std::uint32_t count, Oid type);

  template <class F>
  void sized(F&& body) {
    const std::size_t at = out_.size();
    wire::put<std::uint32_t>(out_, 0);
    body();
    wire::store_be(out_.data() + at, static_cast<std::uint32_t>(out_.size() - at - 4));
  }

  Buffer& out_;
  const TypeMap& types_;
  const char* p_;
  const char* end_;
};

void Writer::value(Oid type) {
  const auto kind = static_cast<ParamKind>(*p_);
  const auto length = load<std::uint32_t>(p_ + 1);
  const std::string_view bytes(p_ + 5, length);
  p_ += 5 + length;
  switch (kind) {
    case ParamKind::null:
      return wire::put<std::int32_t>(out_, -1);
    case ParamKind::bytes:
      wire::put(out_, length);
      return out_.append(bytes);
    case ParamKind::integer:
      return integer(load<std::int64_t>(bytes.data()), type);
    case ParamKind::text:
      return text(bytes, type);
    case ParamKind::real:
      return real(load<double>(bytes.data()), type);
    case ParamKind::numeric:
      return numeric(bytes, type);
    case ParamKind::array:
      return array(load<std::uint32_t>(bytes.data()), type);
    case ParamKind::composite:
      return composite(load<std::uint32_t>(bytes.data()), type);
    case ParamKind::range:
      return range(load<std::uint8_t>(bytes.data()), type);
    case ParamKind::multirange:
      return multirange(load<std::uint32_t>(bytes.data()), type);
  }
}

void Writer::integer(std::int64_t value, Oid type) {
  switch (type) {
    case oid::int8:
      wire::put<std::uint32_t>(out_, 8);
      return wire::put(out_, value);
    case oid::int4:
      return narrow<std::int32_t>(value, type);
    case oid::int2:
      return narrow<std::int16_t>(value, type);
    case oid::oid:
      return narrow<std::uint32_t>(value, type);
    case oid::float8:
    case oid::float4:
      return real(static_cast<double>(value), type);
    case oid::numeric:
      return numeric(fmt::format("{}", value), type);
    default:
      break;
  }
  const Oid base = types_.base(type);
  if (base == type) unfit("an integer", type);
  integer(value, base);
}

void Writer::real(double value, Oid type) {
  switch (type) {
    case oid::float8:
      wire::put<std::uint32_t>(out_, 8);
      return wire::put(out_, std::bit_cast<std::uint64_t>(value));
    case oid::float4: {
      const auto single = static_cast<float>(value);
      // As a cast in SQL has it: digits may be lost, but neither the size of a number nor the number.
      if ((std::isinf(single) && !std::isinf(value)) || (single == 0 && value != 0))
        throw BadArgument(fmt::format("{} is out of range for float4: {}", subject(), value));
      wire::put<std::uint32_t>(out_, 4);
      return wire::put(out_, std::bit_cast<std::uint32_t>(single));
    }
    default:
      break;
  }
  const Oid base = types_.base(type);
  if (base == type) unfit("a floating-point number", type);
  real(value, base);
}

void Writer::numeric(std::string_view text, Oid type) {
  if (types_.base(type) != oid::numeric) unfit("a decimal number", type);
  sized([&] {
    if (!numeric_from_text(text, out_))
      throw BadArgument(fmt::format("{} is not a decimal number: {}", subject(), text));
  });
}

void Writer::text(std::string_view text, Oid type) {
  if (text.find('\0') != std::string_view::npos)
    throw BadArgument(fmt::format("{} holds a NUL character, which PostgreSQL's text types cannot", subject()));
  const Oid base = types_.base(type);
  if (base == oid::character && text.empty()) text = std::string_view("\0", 1);  // one zero byte
  const bool version = base == oid::jsonb;
  wire::put(out_, static_cast<std::uint32_t>(text.size() + (version ? 1 : 0)));
  if (version) wire::put<std::uint8_t>(out_, 1);
  out_.append(text);
}

void Writer::array(std::uint32_t count, Oid type) {
  const Oid base = types_.base(type);
  const Oid element = types_.kind(base) == TypeKind::array ? types_.element(base) : 0;
  if (element == 0) unfit("a list", type);
  sized([&] {
    wire::put<std::int32_t>(out_, count == 0 ? 0 : 1);  // dimensions
    const std::size_t has_null = out_.size();
    wire::put<std::int32_t>(out_, 0);
    wire::put(out_, element);
    if (count == 0) return;
    wire::put(out_, count);
    wire::put<std::int32_t>(out_, 1);  // lower bound
    for (std::uint32_t i = 0; i < count; ++i) {
      if (static_cast<ParamKind>(*p_) == ParamKind::null) wire::store_be<std::int32_t>(out_.data() + has_null, 1);
      value(element);
    }
  });
}

void Writer::composite(std::uint32_t count, Oid type) {
  const TypeEntry* entry = types_.find(types_.base(type));
  if (entry == nullptr || entry->kind != TypeKind::composite || entry->attributes.size() != count)
    unfit(fmt::format("a struct of {} members", count).c_str(), type);
  sized([&] {
    wire::put(out_, count);
    for (const Oid attribute : entry->attributes) {
      wire::put(out_, attribute);
      value(attribute);
    }
  });
}

void Writer::range(std::uint8_t flags, Oid type) {
  const Oid base = types_.base(type);
  if (types_.kind(base) != TypeKind::range) unfit("a range", type);
  constexpr unsigned kEmpty = 1;
  constexpr unsigned kLowerInfinite = 8;
  constexpr unsigned kUpperInfinite = 16;
  sized([&] {
    wire::put(out_, flags);
    if ((flags & kEmpty) != 0) return;
    if ((flags & kLowerInfinite) == 0) value(types_.element(base));
    if ((flags & kUpperInfinite) == 0) value(types_.element(base));
  });
}

void Writer::multirange(std::uint32_t count, Oid type) {
  const Oid base = types_.base(type);
  if (types_.kind(base) != TypeKind::multirange) unfit("a list of ranges", type);
  sized([&] {
    wire::put(out_, count);
    for (std::uint32_t i = 0; i < count; ++i) value(types_.element(base));
  });
}

}  // namespace

void write_params(Buffer& out, const TypeMap& types, const Oid* parameter_types, std::size_t count,
                  const Params& params) {
  wire::put(out, static_cast<std::uint16_t>(count));
  Writer writer(out, types, params.view());
  for (std::size_t i = 0; i < count; ++i) {
    writer.number = i + 1;
    writer.value(parameter_types[i]);
  }
}

void write_param(Buffer& out, const TypeMap& types, Oid type, const Params& value) {
  Writer(out, types, value.view()).value(type);
}

}  // namespace detail
}  // namespace ashlar::pg
