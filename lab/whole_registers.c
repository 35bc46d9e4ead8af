/*
 * Lets a kernel of User Mode Linux 6.1 run on processors with more registers than it knows of.
 *
 * It reads and writes the registers of its processes with a buffer of a fixed size. Where the
 * processor has more (AMX, for instance), Linux answers a write that is not of all registers with
 * EFAULT, and User Mode Linux panics at its first process. Newer ones ask for the size.
 *
 * Loaded before libc (LD_PRELOAD), this completes such a write with what the registers contain.
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Not on the stack, which is a small one. Only one thread of User Mode Linux traces. */
static char registers[1 << 16];

long ptrace(enum __ptrace_request request, ...) {
  va_list rest;
  va_start(rest, request);
  long process = va_arg(rest, int);
  void *kind = va_arg(rest, void *);
  void *data = va_arg(rest, void *);
  va_end(rest);
  long peeked;
  if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
    long status = syscall(SYS_ptrace, request, process, kind, &peeked);
    return status < 0 ? status : peeked;
  }
  if (request == PTRACE_SETREGSET && (unsigned long)kind == NT_X86_XSTATE) {
    struct iovec *known = data;
    struct iovec all = {registers, sizeof registers};
    if (syscall(SYS_ptrace, PTRACE_GETREGSET, process, kind, &all) < 0) return -1;
    if (all.iov_len > known->iov_len) {
      memcpy(registers, known->iov_base, known->iov_len);
      return syscall(SYS_ptrace, request, process, kind, &all);
    }
  }
  return syscall(SYS_ptrace, request, process, kind, data);
}
