// Settings of serving: defaults < environment < flags.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include <ashlar/app/detail/serve.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/text_io.hpp>

namespace ashlar::detail {
namespace {

std::string variable(std::string_view member) {
  std::string name = "ASHLAR_";
  for (const char c : member) name += to_upper_ascii(c);
  return name;
}

}  // namespace

void load_serve_settings(ServeSettings& settings) {
  schema::Errors errors;
  std::vector<schema::Pair> pairs;
  std::vector<std::string> names;
  schema::for_each_member(settings, [&](std::string_view name, auto&) {
    if (const char* value = std::getenv(variable(name).c_str()); value != nullptr && *value != '\0')
      pairs.push_back({name, value});
  });
  if (!schema::parse_pairs(pairs, settings, errors, {"environment", {}})) {
    std::string text;
    for (const auto& item : errors.items()) {
      const auto* member = std::get_if<std::string>(&item.loc.back());
      text += fmt::format("{}{}: {}", text.empty() ? "" : "\n", member != nullptr ? variable(*member) : "?", item.msg);
    }
    throw Invalid(text);
  }
}

void add_serve_flags(CLI::App& cli, ServeSettings& settings) {
  auto* group = cli.add_option_group("Serving", "Each also from the environment, for example ASHLAR_PORT");
  group->add_option("--host", settings.host, "Address to listen on; 0.0.0.0 for all")->capture_default_str();
  group->add_option("-p,--port", settings.port, "Port; 0 takes a free one")->capture_default_str();
  group->add_option("--unix-socket", settings.unix_socket, "Listen on this path instead");
  group->add_option("-j,--threads", settings.threads, "Loops; 0: one a core")->capture_default_str();
  group->add_option("--request-timeout", settings.request_timeout_seconds, "Seconds until a request is given up")
      ->capture_default_str();
  group->add_option("--drain-timeout", settings.drain_timeout_seconds, "Seconds that running requests get at the end")
      ->capture_default_str();
  group->add_option("--max-body", settings.max_body_bytes, "Largest request body in bytes")->capture_default_str();
  group
      ->add_option("--stall-limit", settings.stall_limit_ms,
                   "Milliseconds a handler may hold its loop before the log names it")
      ->capture_default_str()
      ->check(CLI::Range(1, 3'600'000));
  group->add_option("--log-level", settings.log_level, "trace, debug, info, warn, error, off")->capture_default_str();
  group->add_option("--log-format", settings.log_format, "auto, human or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "human", "json"}));
}

std::vector<std::pair<std::string, std::string>> describe_settings(const ServeSettings& settings) {
  std::vector<std::pair<std::string, std::string>> lines;
  schema::for_each_member(settings, [&](std::string_view name, const auto& value) {
    lines.emplace_back(variable(name), schema::to_text(value));
  });
  return lines;
}

}  // namespace ashlar::detail
