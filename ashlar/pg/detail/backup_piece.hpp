// A piece of the log that is not compressed, as pg_receivewal writes it: it has no sum of its own, and PostgreSQL takes
// what it cannot read in it for the end of the log. Here damage is told from the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <ashlar/pg/detail/backup_repository.hpp>

namespace ashlar::pg::detail {

/// Where in the piece log cannot be read though there is more behind it, in a sentence; "" when it is whole, or ends.
///
/// Log is written in order. So when a page has the header of its place (xlp_pageaddr), all before it was written: pages
/// have such headers, and records that end before it have the sums (CRC-32C) that are in them. In NAME.partial, which
/// is zeros from the end of the log on, any other byte proves the same of all before it. Not seen: damage in the last
/// record, in the last page of a piece that somebody has copied out of a server, and in the record that began in the
/// piece before. A server may write to the file meanwhile. Blocks. Throws Internal when it cannot be read.
[[nodiscard]] std::string damage_of_piece(const std::filesystem::path& file, const LogPiece& piece,
                                          std::int64_t segment_bytes);

}  // namespace ashlar::pg::detail
