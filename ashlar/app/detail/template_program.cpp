#include <ashlar/app/detail/template_program.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include <ashlar/app/detail/template_source.hpp>
#include <ashlar/app/templates.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/text_io.hpp>

namespace ashlar::detail {
namespace {

using schema::Kind;
using schema::TypeInfo;

constexpr unsigned kDeepest = 16;  // templates within templates

// What `loop` is.
struct LoopState {
  std::int64_t index = 0;
  std::int64_t length = 0;
  bool first = false;
  bool last = false;
};

bool is_nullable(const TypeInfo& type) noexcept { return type.kind == Kind::optional || type.kind == Kind::patch; }
bool is_html(const TypeInfo& type) noexcept {
  return type.kind == Kind::object && type.object == schema::type_info<SafeHtml>().object;
}
bool is_list(const TypeInfo& type) noexcept {
  return type.kind == Kind::list || type.kind == Kind::array || type.kind == Kind::map;
}
bool is_scalar(const TypeInfo& type) noexcept {
  switch (type.kind) {
    case Kind::boolean:
    case Kind::integer:
    case Kind::number:
    case Kind::string:
    case Kind::string_view:
    case Kind::enumeration:
    case Kind::value:
    case Kind::literal:
      return true;
    default:
      return false;
  }
}
std::string short_name(const TypeInfo& type) {
  const std::string_view name = type.name;
  const std::size_t at = name.rfind("::");
  return std::string(at == std::string_view::npos ? name : name.substr(at + 2));
}

class Compiler {
 public:
  Compiler(const TypeInfo& type, const TemplateProgram::Read& read) : read_(read) { scope_.push_back({"", 0, &type}); }

  std::vector<TemplateStep> page(const std::string& name) {
    std::vector<TemplateStep> steps = file(name, TemplatePlace{std::make_shared<const std::string>(name), 0}, {});
    if (const std::string open = context_.at_end(); !open.empty()) throw_template_error(last_place_, open);
    return steps;
  }
  [[nodiscard]] std::uint32_t slots() const noexcept { return slots_; }

 private:
  struct Variable {
    std::string name;  // "" is the whole: its members are names
    std::uint32_t slot;
    const TypeInfo* type;
  };
  using Blocks = std::map<std::string, const TemplateNode*>;

  // A template, or the one that it extends with its blocks in it.
  std::vector<TemplateStep> file(const std::string& name, const TemplatePlace& place, Blocks blocks) {
    if (++depth_ > kDeepest)
      throw_template_error(
          place, fmt::format("templates are more than {} deep here; does '{}' include itself?", kDeepest, name));
    std::string text;
    try {
      text = read_(name);
    } catch (const NotFound& error) {
      if (place.line == 0) throw Invalid(error.message());
      throw_template_error(place, error.message());
    }
    const auto nodes = std::make_unique<const std::vector<TemplateNode>>(parse_template(name, text));
    const auto extends = std::ranges::find(*nodes, TemplateNode::Kind::extends, &TemplateNode::kind);
    std::vector<TemplateStep> out;
    if (extends == nodes->end()) {
      out = compile(*nodes, blocks);
    } else {
      for (const TemplateNode& node : *nodes) {
        const bool blank =
            node.kind == TemplateNode::Kind::text && node.text.find_first_not_of(" \t\r\n") == std::string::npos;
        if (node.kind == TemplateNode::Kind::block) {
          blocks.emplace(node.text, &node);  // that of who extends this one counts
        } else if (&node != &*extends && !blank) {
          throw_template_error(node.place, "a template that extends another has nothing but blocks");
        }
      }
      out = file(extends->text, extends->place, std::move(blocks));
    }
    --depth_;
    return out;
  }

  std::vector<TemplateStep> compile(const std::vector<TemplateNode>& nodes, const Blocks& blocks) {
    std::vector<TemplateStep> out;
    for (const TemplateNode& node : nodes) {
      last_place_ = node.place;
      switch (node.kind) {
        case TemplateNode::Kind::text:
          check(node, context_.read(node.text));
          if (!out.empty() && out.back().kind == TemplateStep::Kind::text) {
            out.back().text += node.text;
          } else {
            out.emplace_back().text = node.text;
          }
          break;
        case TemplateNode::Kind::value:
          out.push_back(value(node));
          break;
        case TemplateNode::Kind::condition:
          out.push_back(condition(node, blocks));
          break;
        case TemplateNode::Kind::loop:
          out.push_back(loop(node, blocks));
          break;
        case TemplateNode::Kind::include:
        case TemplateNode::Kind::block:
          part(node, blocks, out);
          break;
        case TemplateNode::Kind::extends:
          throw_template_error(node.place, "extends stands within a statement; it is the first of its template");
      }
    }
    return out;
  }

  void part(const TemplateNode& node, const Blocks& blocks, std::vector<TemplateStep>& out) {
    const bool is_block = node.kind == TemplateNode::Kind::block;
    const std::string what = is_block ? "block " + node.text : "the included template";
    if (!context_.in_text())
      throw_template_error(node.place, fmt::format("{} stands {}; it goes between tags", what, context_.describe()));
    std::vector<TemplateStep> steps;
    if (is_block) {
      const auto mine = blocks.find(node.text);
      const TemplateNode& chosen = mine == blocks.end() ? node : *mine->second;
      if (++depth_ > kDeepest) throw_template_error(node.place, "blocks are too deep");
      steps = compile(chosen.body, blocks);
      --depth_;
    } else {
      steps = file(node.text, node.place, {});
    }
    if (!context_.in_text())
      throw_template_error(node.place, fmt::format("{} ends {}; it ends between tags", what, context_.describe()));
    std::ranges::move(steps, std::back_inserter(out));
  }

  static void check(const TemplateNode& node, const std::string& wrong) {
    if (!wrong.empty()) throw_template_error(node.place, wrong);
  }

  TemplateStep value(const TemplateNode& node) {
    TemplateStep step;
    step.kind = TemplateStep::Kind::value;
    step.path = resolve(node, node.expression.path);
    check(node, context_.at_value(step.escape));
    const TypeInfo& type = *step.path.type;
    const std::string called = name_of(node.expression.path);
    if (node.filter == "json") {
      if (step.escape != HtmlEscape::json && step.escape != HtmlEscape::text)
        throw_template_error(node.place,
                             "JSON in a URL; `json` is for <script type=\"application/json\"> and data-… attributes");
      if (holds_secret(type)) throw_template_error(node.place, fmt::format("'{}' holds a secret", called));
      step.kind = TemplateStep::Kind::json;
      return step;
    }
    if (!node.filter.empty())
      throw_template_error(node.place, fmt::format("there is no filter '{}'; there is json", node.filter));
    if (step.escape == HtmlEscape::json)
      throw_template_error(node.place, fmt::format("a value among JSON is JSON: {{{{ {} | json }}}}", called));
    if (is_html(type)) {
      if (!context_.in_text())
        throw_template_error(node.place, fmt::format("'{}' is HTML, which stands between tags; this is {}", called,
                                                     context_.describe()));
      step.kind = TemplateStep::Kind::html;
      return step;
    }
    if (type.kind == Kind::secret) throw_template_error(node.place, fmt::format("'{}' is a secret", called));
    if (!is_scalar(type)) {
      throw_template_error(node.place, fmt::format("'{}' is {}; write one of its parts", called,
                                                   is_list(type) ? "a list" : "no single value"));
    }
    return step;
  }

  TemplateStep condition(const TemplateNode& node, const Blocks& blocks) {
    TemplateStep step;
    step.kind = TemplateStep::Kind::condition;
    step.condition = compile_condition(node, node.expression);
    check(node, context_.at_statement());
    const HtmlContext before = context_;
    step.body = compile(node.body, blocks);
    check(node, context_.at_statement());
    HtmlContext after = std::exchange(context_, before);
    step.otherwise = compile(node.otherwise, blocks);
    check(node, context_.at_statement());
    if (!context_.join(after)) {
      throw_template_error(node.place, fmt::format("the branches of this end in different places: {}, and {}",
                                                   after.describe(), context_.describe()));
    }
    return step;
  }

  TemplateStep loop(const TemplateNode& node, const Blocks& blocks) {
    TemplateStep step;
    step.kind = TemplateStep::Kind::loop;
    step.path = resolve(node, node.expression.path);
    const TypeInfo& list = *step.path.type;
    const std::string called = name_of(node.expression.path);
    if (!is_list(list)) throw_template_error(node.place, fmt::format("'{}' is no list", called));
    step.has_key = node.variables.size() == 2;
    if (step.has_key != (list.kind == Kind::map))
      throw_template_error(node.place, list.kind == Kind::map
                                           ? fmt::format("'{}' is a map: {{% for key, value in {} %}}", called, called)
                                           : fmt::format("'{}' is a list, without keys", called));
    check(node, context_.at_statement());
    const HtmlContext before = context_;
    step.slot = slots_;
    slots_ += 3;
    const std::size_t outer = scope_.size();
    if (step.has_key) {
      scope_.push_back({node.variables[0], step.slot, &schema::type_info<std::string_view>()});
      scope_.push_back({node.variables[1], step.slot + 1, list.inner});
    } else {
      scope_.push_back({node.variables[0], step.slot, list.inner});
    }
    scope_.push_back({"loop", step.slot + 2, &schema::type_info<LoopState>()});
    step.body = compile(node.body, blocks);
    scope_.resize(outer);
    check(node, context_.at_statement());
    HtmlContext after = std::exchange(context_, before);
    const bool repeats = before.repeats_from(after);
    step.otherwise = compile(node.otherwise, blocks);
    check(node, context_.at_statement());
    if (!context_.join(after)) {
      throw_template_error(node.place, fmt::format("this loop begins and ends in different places: {}, and {}",
                                                   before.describe(), after.describe()));
    }
    if (!repeats) throw_template_error(node.place, "a loop at the beginning of a URL");
    return step;
  }

  // ---- names

  static std::string name_of(const std::vector<std::string>& path) { return fmt::format("{}", fmt::join(path, ".")); }

  static const schema::Member* member_of(const TypeInfo& type, std::string_view name) {
    if (type.kind != Kind::object || is_html(type)) return nullptr;
    for (std::size_t i = 0; i < type.object->count; ++i) {
      if (type.object->members[i].name == name) return &type.object->members[i];
    }
    return nullptr;
  }
  static std::string members_of(const TypeInfo& type) {
    std::string names;
    for (std::size_t i = 0; i < type.object->count; ++i)
      names += fmt::format("{}{}", i == 0 ? "" : ", ", type.object->members[i].name);
    return names;
  }

  TemplatePath resolve(const TemplateNode& node, const std::vector<std::string>& names) {
    const auto variable =
        std::find_if(scope_.rbegin(), scope_.rend(), [&](const Variable& v) { return v.name == names[0]; });
    TemplatePath path;
    const bool is_variable = variable != scope_.rend();
    path.slot = is_variable ? variable->slot : 0;
    path.type = is_variable ? variable->type : scope_.front().type;
    pass_nullables(path);
    for (std::size_t i = is_variable ? 1 : 0; i < names.size(); ++i) {
      const TypeInfo& type = *path.type;
      const schema::Member* member = member_of(type, names[i]);
      if (member == nullptr) {
        if (type.kind != Kind::object || is_html(type)) {
          throw_template_error(node.place,
                               fmt::format("'{}' has no members",
                                           name_of({names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i)})));
        }
        throw_template_error(
            node.place, fmt::format("{} has no member '{}'; it has {}", short_name(type), names[i], members_of(type)));
      }
      path.steps.push_back({&type, member->offset});
      path.type = member->type;
      pass_nullables(path);
    }
    return path;
  }
  static void pass_nullables(TemplatePath& path) {
    while (is_nullable(*path.type)) {
      path.steps.push_back({path.type, 0});
      path.type = path.type->inner;
    }
  }
  static bool holds_secret(const TypeInfo& type, unsigned depth = 0) {
    if (type.kind == Kind::secret) return true;
    if (depth > kDeepest) return false;
    if (type.inner != nullptr && holds_secret(*type.inner, depth + 1)) return true;
    if (type.kind != Kind::object) return false;
    for (std::size_t i = 0; i < type.object->count; ++i) {
      if (holds_secret(*type.object->members[i].type, depth + 1)) return true;
    }
    return false;
  }

  // ---- conditions

  TemplateCondition compile_condition(const TemplateNode& node, const TemplateExpression& from) {
    using Kind = TemplateExpression::Kind;
    TemplateCondition out;
    switch (from.kind) {
      case Kind::path:
        out.path = resolve(node, from.path);
        return out;
      case Kind::equal:
      case Kind::unequal:
        return comparison(node, from);
      case Kind::negation:
        out.kind = TemplateCondition::Kind::negation;
        break;
      case Kind::conjunction:
        out.kind = TemplateCondition::Kind::conjunction;
        break;
      default:
        out.kind = TemplateCondition::Kind::disjunction;
    }
    for (const TemplateExpression& operand : from.operands) out.operands.push_back(compile_condition(node, operand));
    return out;
  }

  TemplateCondition comparison(const TemplateNode& node, const TemplateExpression& from) {
    TemplateCondition equal;
    equal.kind = TemplateCondition::Kind::equal;
    equal.path = resolve(node, from.operands[0].path);
    equal.text = from.operands[1].text;
    const TypeInfo& type = *equal.path.type;
    const std::string called = name_of(from.operands[0].path);
    const bool number = from.operands[1].kind == TemplateExpression::Kind::number;
    if (!is_scalar(type) || type.kind == schema::Kind::boolean)
      throw_template_error(node.place,
                           fmt::format("'{}' is compared with nothing; write {{% if {} %}}", called, called));
    const bool is_number = type.kind == schema::Kind::integer || type.kind == schema::Kind::number;
    if (number != is_number)
      throw_template_error(node.place, fmt::format("'{}' is {} number, and '{}' is {}", called, is_number ? "a" : "no",
                                                   equal.text, number ? "one" : "none"));
    if (type.kind == schema::Kind::enumeration) {
      const auto* const begin = type.enumeration->enumerators;
      const auto* const end = begin + type.enumeration->count;
      if (std::find_if(begin, end, [&](const schema::Enumerator& e) { return e.name == equal.text; }) == end)
        throw_template_error(node.place, fmt::format("'{}' is never '{}'", called, equal.text));
    }
    if (from.kind == TemplateExpression::Kind::equal) return equal;
    TemplateCondition out;
    out.kind = TemplateCondition::Kind::negation;
    out.operands.push_back(std::move(equal));
    return out;
  }

  const TemplateProgram::Read& read_;
  HtmlContext context_;
  std::vector<Variable> scope_;
  std::uint32_t slots_ = 1;
  unsigned depth_ = 0;
  TemplatePlace last_place_;
};

// ---- writing

class Writer {
 public:
  Writer(const void* data, std::uint32_t slots, std::string& out) : slots_(slots, nullptr), out_(out) {
    slots_[0] = data;
  }

  void write(const std::vector<TemplateStep>& steps) {
    for (const TemplateStep& step : steps) {
      switch (step.kind) {
        case TemplateStep::Kind::text:
          out_ += step.text;
          break;
        case TemplateStep::Kind::condition:
          write(is_true(step.condition) ? step.body : step.otherwise);
          break;
        case TemplateStep::Kind::loop:
          write_loop(step);
          break;
        default:
          write_value(step);
      }
    }
  }

 private:
  struct Loop {
    Writer* writer;
    const TemplateStep* step;
    LoopState state;
  };

  void write_value(const TemplateStep& step) {
    const void* const at = step.path.find(slots_);
    if (at == nullptr) {
      if (step.kind == TemplateStep::Kind::json) out_ += "null";
      return;
    }
    if (step.kind == TemplateStep::Kind::html) {
      out_ += static_cast<const SafeHtml*>(at)->html;
      return;
    }
    text_.clear();
    if (step.kind == TemplateStep::Kind::json) {
      schema::write_json(*step.path.type, at, text_);
    } else {
      append_text(*step.path.type, at);
    }
    write_escaped(text_, step.escape, out_);
  }
  void append_text(const TypeInfo& type, const void* at) {
    if (type.kind == Kind::string_view) {
      text_ += *static_cast<const std::string_view*>(at);
    } else {
      schema::write_text(type, at, text_);
    }
  }

  void write_loop(const TemplateStep& step) {
    const void* const at = step.path.find(slots_);
    const TypeInfo& type = *step.path.type;
    const std::size_t size = at == nullptr             ? 0
                             : type.kind == Kind::list ? type.list->size(at)
                             : type.kind == Kind::map  ? type.map->size(at)
                                                       : type.count;
    if (size == 0) return write(step.otherwise);
    Loop loop{this, &step, {0, static_cast<std::int64_t>(size), false, false}};
    slots_[step.slot + 2] = &loop.state;
    if (type.kind == Kind::list) {
      type.list->each(at, &loop,
                      [](void* context, const void* element) { once(*static_cast<Loop*>(context), nullptr, element); });
    } else if (type.kind == Kind::map) {
      type.map->each(at, &loop, [](void* context, std::string_view key, const void* value) {
        once(*static_cast<Loop*>(context), &key, value);
      });
    } else {
      for (std::size_t i = 0; i < size; ++i)
        once(loop, nullptr, static_cast<const std::byte*>(at) + i * type.inner->size);
    }
  }
  static void once(Loop& loop, const std::string_view* key, const void* value) {
    LoopState& state = loop.state;
    ++state.index;
    state.first = state.index == 1;
    state.last = state.index == state.length;
    Writer& writer = *loop.writer;
    const std::uint32_t slot = loop.step->slot;
    writer.slots_[slot] = key != nullptr ? static_cast<const void*>(key) : value;
    writer.slots_[slot + 1] = value;
    writer.write(loop.step->body);
  }

  bool is_true(const TemplateCondition& condition) {
    switch (condition.kind) {
      case TemplateCondition::Kind::negation:
        return !is_true(condition.operands[0]);
      case TemplateCondition::Kind::conjunction:
        return std::ranges::all_of(condition.operands, [this](const auto& one) { return is_true(one); });
      case TemplateCondition::Kind::disjunction:
        return std::ranges::any_of(condition.operands, [this](const auto& one) { return is_true(one); });
      default:
        break;
    }
    const void* const at = condition.path.find(slots_);
    if (at == nullptr) return false;
    const TypeInfo& type = *condition.path.type;
    if (condition.kind == TemplateCondition::Kind::value) return is_something(type, at);
    text_.clear();
    append_text(type, at);
    return text_ == condition.text;
  }
  // As Python sees it: what is empty or zero is false.
  bool is_something(const TypeInfo& type, const void* at) {
    switch (type.kind) {
      case Kind::boolean:
        return *static_cast<const bool*>(at);
      case Kind::list:
        return type.list->size(at) != 0;
      case Kind::map:
        return type.map->size(at) != 0;
      case Kind::value:
        return !type.value->is_empty(at);
      case Kind::object:
        return !is_html(type) || !static_cast<const SafeHtml*>(at)->html.empty();
      case Kind::integer:
      case Kind::number:
      case Kind::string:
      case Kind::string_view:
        text_.clear();
        append_text(type, at);
        return !text_.empty() &&
               (type.kind == Kind::string || type.kind == Kind::string_view || (text_ != "0" && text_ != "-0"));
      default:
        return true;
    }
  }

  std::vector<const void*> slots_;
  std::string text_;
  std::string& out_;
};

}  // namespace

const void* TemplatePath::find(const std::vector<const void*>& slots) const {
  const void* at = slots[slot];
  for (const Step& step : steps) {
    if (step.type->kind == Kind::object) {
      at = static_cast<const std::byte*>(at) + step.offset;
    } else {
      at = step.type->optional->get(at);
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

TemplateProgram TemplateProgram::compile(const std::string& name, const TypeInfo& type, const Read& read) {
  Compiler compiler(type, read);
  TemplateProgram program;
  program.steps_ = compiler.page(name);
  program.slots_ = compiler.slots();
  return program;
}

void TemplateProgram::write(const void* data, std::string& out) const { Writer(data, slots_, out).write(steps_); }

}  // namespace ashlar::detail
