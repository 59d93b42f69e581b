// Files to a connection: by sendfile(2) in the clear, by read and write through TLS.
#pragma once

#include <cstdint>

#include <ashlar/http/file_body.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http::detail {

struct FileIo {
  net::Io result;
  bool broken_off = false;  ///< the file has become shorter or cannot be read; result.state is failed
};

/// Sends from the front of `file` as much as the socket takes, at most `most` bytes.
[[nodiscard]] FileIo write_file(net::Transport& transport, const FileBody& file, std::uint64_t most) noexcept;

}  // namespace ashlar::http::detail
