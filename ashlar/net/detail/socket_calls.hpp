// recv and send without what glibc puts around them.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>

namespace ashlar::net::detail {

// In a program of several threads, glibc makes recv() and send() points where pthread_cancel() may end the thread, by
// two locked instructions before and after each. Nobody here cancels threads. Sanitizers look into the functions.
#if !defined(__has_feature)
#define ASHLAR_PLAIN_SOCKET_CALLS 0
#elif __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define ASHLAR_PLAIN_SOCKET_CALLS 1
#else
#define ASHLAR_PLAIN_SOCKET_CALLS 0
#endif

/// As recv(2).
inline ssize_t receive(int fd, void* data, std::size_t size, int flags) noexcept {
#if ASHLAR_PLAIN_SOCKET_CALLS
  return ::recv(fd, data, size, flags);
#else
  return ::syscall(SYS_recvfrom, fd, data, size, flags, nullptr, nullptr);
#endif
}

/// As send(2).
inline ssize_t send(int fd, const void* data, std::size_t size, int flags) noexcept {
#if ASHLAR_PLAIN_SOCKET_CALLS
  return ::send(fd, data, size, flags);
#else
  return ::syscall(SYS_sendto, fd, data, size, flags, nullptr, 0);
#endif
}

#undef ASHLAR_PLAIN_SOCKET_CALLS

}  // namespace ashlar::net::detail
