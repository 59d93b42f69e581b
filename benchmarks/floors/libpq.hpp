// What the libpq floors share: one connection in pipeline mode, one prepared statement, binary both ways, one Sync a
// query.
#pragma once

#include <endian.h>
#include <libpq-fe.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

namespace floors {

inline std::int16_t read_int2(const char* at) {
  std::uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<std::int16_t>(be16toh(value));
}
inline std::int32_t read_int4(const char* at) {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<std::int32_t>(be32toh(value));
}
inline std::int64_t read_int8(const char* at) {
  std::uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<std::int64_t>(be64toh(value));
}

class Libpq {
 public:
  // Connects, prepares `sql` under the name "q" and enters pipeline mode, non-blocking. Throws std::runtime_error.
  Libpq(const char* conninfo, const char* sql) : connection_(PQconnectdb(conninfo)) {
    if (PQstatus(connection_) != CONNECTION_OK) fail("connect");
    PGresult* const prepared = PQprepare(connection_, "q", sql, 0, nullptr);
    if (PQresultStatus(prepared) != PGRES_COMMAND_OK) fail("prepare");
    PQclear(prepared);
    if (PQenterPipelineMode(connection_) != 1 || PQsetnonblocking(connection_, 1) != 0) fail("pipeline mode");
  }
  ~Libpq() { PQfinish(connection_); }
  Libpq(const Libpq&) = delete;
  Libpq& operator=(const Libpq&) = delete;

  // Queues the statement, and a Sync if it is not to share that of a later one. libpq before 17 has no way to queue a
  // Sync without pushing it to the socket.
  void send(int parameter_count, const char* const* values, const int* lengths, const int* formats, bool sync = true) {
    if (PQsendQueryPrepared(connection_, "q", parameter_count, values, lengths, formats, 1) != 1) fail("send");
    if (sync && PQpipelineSync(connection_) != 1) fail("sync");
  }
  void send(std::int32_t id, bool sync = true) {
    const std::uint32_t wire = htobe32(static_cast<std::uint32_t>(id));
    const char* const value = reinterpret_cast<const char*>(&wire);
    const int length = sizeof wire;
    const int format = 1;
    send(1, &value, &length, &format, sync);
  }

  // Reads what has come and calls on_result(PGresult*) for each finished query, in order.
  template <class OnResult>
  void receive(OnResult&& on_result) {
    if (PQconsumeInput(connection_) != 1) fail("receive");
    while (PQisBusy(connection_) == 0) {
      PGresult* const result = PQgetResult(connection_);
      if (result == nullptr) {
        // Null ends the results of one query; twice in a row: nothing is left.
        if (ended_) return;
        ended_ = true;
        continue;
      }
      ended_ = false;
      const ExecStatusType status = PQresultStatus(result);
      if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        on_result(result);
      } else if (status != PGRES_PIPELINE_SYNC) {
        fail("query");
      }
      PQclear(result);
    }
  }

  // True when everything is with the kernel; else wait until the socket can be written and call again.
  bool flush() { return PQflush(connection_) == 0; }
  [[nodiscard]] int fd() const { return PQsocket(connection_); }

 private:
  [[noreturn]] void fail(const char* what) {
    throw std::runtime_error(std::string("libpq ") + what + ": " + PQerrorMessage(connection_));
  }

  PGconn* connection_;
  bool ended_ = false;
};

// COPY FROM STDIN, blocking.
class LibpqCopy {
 public:
  explicit LibpqCopy(const char* conninfo) : connection_(PQconnectdb(conninfo)) {
    if (PQstatus(connection_) != CONNECTION_OK) fail("connect");
  }
  ~LibpqCopy() { PQfinish(connection_); }
  LibpqCopy(const LibpqCopy&) = delete;
  LibpqCopy& operator=(const LibpqCopy&) = delete;

  void run(const char* sql) { take(PQexec(connection_, sql), PGRES_COMMAND_OK); }
  void begin(const char* sql) { take(PQexec(connection_, sql), PGRES_COPY_IN); }
  void data(std::string_view bytes) {
    if (PQputCopyData(connection_, bytes.data(), static_cast<int>(bytes.size())) != 1) fail("copy");
  }
  // The number of rows.
  std::int64_t end() {
    if (PQputCopyEnd(connection_, nullptr) != 1) fail("copy");
    const std::int64_t rows = take(PQgetResult(connection_), PGRES_COMMAND_OK);
    while (PGresult* const rest = PQgetResult(connection_)) PQclear(rest);
    return rows;
  }

 private:
  std::int64_t take(PGresult* result, ExecStatusType wanted) {
    if (PQresultStatus(result) != wanted) fail("query");
    const std::int64_t rows = std::strtoll(PQcmdTuples(result), nullptr, 10);
    PQclear(result);
    return rows;
  }
  [[noreturn]] void fail(const char* what) {
    throw std::runtime_error(std::string("libpq ") + what + ": " + PQerrorMessage(connection_));
  }

  PGconn* connection_;
};

}  // namespace floors
