#include <ashlar/app/files.hpp>

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include <ashlar/app/call.hpp>
#include <ashlar/app/detail/respond.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/content_disposition.hpp>
#include <ashlar/http/file_cache.hpp>
#include <ashlar/http/media_type.hpp>

namespace ashlar::detail {
namespace {

constexpr std::size_t kLongestPath = 1024;
constexpr int kMostLooks = 8;  // for one request: the path, its folder's index, the fallback

using Files = std::shared_ptr<const http::FileSet>;
using Kind = http::OpenFile::Kind;

/// Where the files of a prefix are.
class FileSource {
 public:
  virtual ~FileSource() = default;
  /// Null: not known without waiting; look() for it and ask again.
  virtual Files known(const std::string& path, async::TimePoint asked) const = 0;
  virtual Task<void> look(std::string path) const = 0;
};

class FolderSource final : public FileSource {
 public:
  FolderSource(std::string folder, bool precompressed) : folder_(std::move(folder)), precompressed_(precompressed) {}
  Files known(const std::string& path, async::TimePoint asked) const override {
    return http::FileCache::shared().known({folder_, path, precompressed_}, asked);
  }
  Task<void> look(std::string path) const override {
    static_cast<void>(co_await http::FileCache::shared().find({folder_, std::move(path), precompressed_}));
  }

 private:
  std::string folder_;
  bool precompressed_;
};

class EmbeddedSource final : public FileSource {
 public:
  explicit EmbeddedSource(std::span<const EmbeddedFile> files) {
    for (const EmbeddedFile& one : files) {
      auto set = std::make_shared<http::FileSet>();
      fill(set->plain, one.bytes, "");
      const std::array encoded = {one.br, one.zstd, one.gzip};
      for (std::size_t i = 0; i < encoded.size(); ++i) {
        auto& [coding, file] = set->encoded[i];
        if (!encoded[i].empty()) fill(file, encoded[i], http::to_string(coding));
      }
      files_[std::string(one.path)] = std::move(set);
      auto folder = std::make_shared<http::FileSet>();
      folder->plain.kind = Kind::directory;
      for (auto slash = one.path.find('/'); slash != std::string_view::npos; slash = one.path.find('/', slash + 1)) {
        files_.try_emplace(std::string(one.path.substr(0, slash)), folder);
      }
    }
  }
  Files known(const std::string& path, async::TimePoint) const override {
    static const Files kAbsent = std::make_shared<http::FileSet>();
    const auto found = files_.find(path);
    return found == files_.end() ? kAbsent : found->second;
  }
  Task<void> look(std::string) const override { co_return; }

 private:
  static void fill(http::OpenFile& file, std::string_view bytes, std::string_view coding) {
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a: a tag need not withstand anybody who wrote the file
    for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    file.kind = Kind::file;
    file.bytes = bytes;
    file.size = bytes.size();
    file.etag = fmt::format("\"{:x}-{:016x}{}\"", bytes.size(), hash, coding);
  }
  std::map<std::string, Files> files_;
};

struct Served {
  std::unique_ptr<const FileSource> source;
  FilesOptions options;
};

bool servable(std::string_view path, bool hidden_files) noexcept {
  if (path.size() > kLongestPath || path.find('\0') != std::string_view::npos) return false;
  bool first = true;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, slash);
    if (name.empty() || name == "." || name == "..") return false;
    if (name.front() == '.' && !hidden_files && !(first && name == ".well-known")) return false;
    path.remove_prefix(std::min(slash + 1, path.size()));
    first = false;
  }
  return true;
}

/// One request for a file on its way. It is tried with what is known, and tried again when that was not enough.
class Asked {
 public:
  Asked(Call& call, const Served& served) : call_(call), served_(served), asked_(async::Clock::now()) {
    if (!call.route->parameter_names.empty()) path_ = call.path_values[0];
  }

  /// Fills in the answer. False: look() first.
  bool answer() {
    const FilesOptions& options = served_.options;
    const bool folder = path_.empty() || path_.ends_with('/');
    const std::string_view name = folder ? path_.substr(0, path_.empty() ? 0 : path_.size() - 1) : path_;
    if (!servable(name, options.hidden_files)) return absent();
    if (folder) {
      if (options.index.empty()) return absent();
      return serve(name.empty() ? options.index : fmt::format("{}/{}", name, options.index));
    }
    const Files files = served_.source->known(std::string(name), asked_);
    if (files == nullptr) return missing(std::string(name));
    if (files->plain.kind == Kind::file) return send(files, std::string(name));
    if (files->plain.kind == Kind::absent || options.index.empty()) return absent();
    const std::string index = fmt::format("{}/{}", name, options.index);
    const Files page = served_.source->known(index, asked_);
    if (page == nullptr) return missing(index);
    return page->plain.kind == Kind::file ? redirect() : absent();
  }

  Task<void> look() { return served_.source->look(std::move(missing_)); }

 private:
  bool missing(std::string path) {
    missing_ = std::move(path);
    return false;
  }

  bool serve(const std::string& path) {
    const Files files = served_.source->known(path, asked_);
    if (files == nullptr) return missing(path);
    return files->plain.kind == Kind::file ? send(files, path) : absent();
  }

  // The service's 404, or the page of a single-page application for somebody who wants to see one.
  bool absent() {
    const std::string& fallback = served_.options.fallback;
    const auto accept = call_.exchange.request.header(http::KnownHeader::accept);
    if (!fallback.empty() && accept && accept->find("text/html") != std::string_view::npos) {
      const Files files = served_.source->known(fallback, asked_);
      if (files == nullptr) return missing(fallback);
      if (files->plain.kind == Kind::file) return send(files, fallback);
    }
    Problem problem;
    problem.status = 404;
    problem.detail = "there is nothing at this path";
    respond_problem(call_, problem);
    return true;
  }

  // Relative links of a folder's page want the slash. The target is as it was sent, so that a mount's prefix stays; two
  // slashes at its start would name another host.
  bool redirect() {
    const auto& request = call_.exchange.request;
    std::string location(request.target.substr(0, request.target.find('?')));
    if (!location.starts_with('/') || location.starts_with("//")) return absent();
    location += '/';
    if (!request.query.empty()) location.append("?").append(request.query);
    call_.exchange.response.status = 308;
    call_.exchange.response.header("Location", location);
    return true;
  }

  bool send(const Files& files, const std::string& path) {
    const FilesOptions& options = served_.options;
    http::Response& response = call_.exchange.response;
    const http::Request& request = call_.exchange.request;
    const std::string_view type = http::media_type_of(path);
    const bool lasting = std::ranges::any_of(options.immutable, [&](const auto& one) { return path.starts_with(one); });
    if (lasting) {
      response.append_header_lines("Cache-Control: public, max-age=31536000, immutable\r\n");
    } else if (!options.cache_control.empty()) {
      response.header("Cache-Control", options.cache_control);
    }
    if (type.starts_with("text/html") && !options.content_security_policy.empty()) {
      response.header("Content-Security-Policy", options.content_security_policy);
    }
    const http::OpenFile* chosen = &files->plain;
    std::array<http::ContentCoding, 3> codings{};
    std::size_t count = 0;
    for (const auto& [coding, file] : files->encoded) {
      if (file.kind == Kind::file) codings[count++] = coding;
    }
    if (count != 0) {
      response.append_header_lines("Vary: Accept-Encoding\r\n");
      const auto accepted = request.header(http::KnownHeader::accept_encoding);
      const auto choice =
          accepted ? http::negotiate(*accepted, std::span(codings).first(count)) : http::ContentCoding::identity;
      for (const auto& [coding, file] : files->encoded) {
        if (choice != coding || file.kind != Kind::file) continue;
        chosen = &file;
        response.header("Content-Encoding", http::to_string(coding));
      }
    }
    http::Representation what = http::represent(files, *chosen, type);
    if (chosen->modified.tv_sec == 0) what.last_modified.reset();  // within the program: as old as it
    http::respond_with(request, response, std::move(what));
    return true;
  }

  Call& call_;
  const Served& served_;
  async::TimePoint asked_;
  std::string_view path_;
  std::string missing_;
};

Task<void> answer_later(Asked asked) {
  for (int turn = 0; turn < kMostLooks; ++turn) {
    co_await asked.look();
    if (asked.answer()) co_return;
  }
  throw Unavailable("the files of this service change faster than they can be read");
}

bool serve_files(Call& call) {
  Asked asked(call, *static_cast<const Served*>(call.route->handler.get()));
  if (asked.answer()) return true;
  async::launch(answer_later(std::move(asked)), call);
  return false;
}

std::vector<Route> routes_of(std::string_view prefix, std::shared_ptr<const Served> served) {
  std::vector<Route> routes;
  const std::string base(prefix == "/" ? std::string_view() : prefix);
  for (const char* const rest : {"/", "/{path:path}"}) {
    Route route;
    route.pattern = base + rest;
    route.handler = served;
    route.invoke = &serve_files;
    route.describe = [](OperationInfo&) {};
    route.options.hidden = true;  // pages, not a part of the API
    routes.push_back(std::move(route));
  }
  return routes;
}

}  // namespace

std::vector<Route> files_routes(std::string_view prefix, std::string folder, FilesOptions options) {
  auto source = std::make_unique<FolderSource>(std::move(folder), options.precompressed);
  return routes_of(prefix, std::make_shared<const Served>(std::move(source), std::move(options)));
}

std::vector<Route> files_routes(std::string_view prefix, std::span<const EmbeddedFile> files, FilesOptions options) {
  return routes_of(prefix, std::make_shared<const Served>(std::make_unique<EmbeddedSource>(files), std::move(options)));
}

std::string folder_problem(const std::string& folder) {
  struct stat status{};
  if (::stat(folder.c_str(), &status) != 0) {
    return fmt::format("the folder {} cannot be served: {}; make it, or give its absolute path", folder,
                       std::strerror(errno));
  }
  return S_ISDIR(status.st_mode) ? std::string() : fmt::format("{} cannot be served: it is no folder", folder);
}

// ---- File, as a handler returns it

Task<void> respond_file(Call& call, File file) {
  const Files files = co_await http::FileCache::shared().find({.root = file.root, .path = file.path});
  if (files->plain.kind != Kind::file) throw NotFound("there is no such file");
  http::Response& response = call.exchange.response;
  if (!file.cache_control.empty()) response.header("Cache-Control", file.cache_control);
  if (!file.download_as.empty()) {
    response.header("Content-Disposition", http::content_disposition("attachment", file.download_as));
  }
  http::respond_with(
      call.exchange.request, response,
      http::represent(files, files->plain, file.type.empty() ? http::media_type_of(file.path) : file.type));
  if (response.status == 200) set_status(call, 200);
}

void describe_file(OperationInfo& info) {
  describe_response(info, 200, "application/octet-stream");
  describe_response(info, 206, "application/octet-stream");
  describe_response(info, 304, {});
  for (const int status : {404, 416}) info.responses.push_back({status, {}, {}, nullptr, true});
}

}  // namespace ashlar::detail
