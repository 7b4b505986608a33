/* System calls are calls: with a number that the compiler knows, of the handler itself; otherwise
 * by the table of all handlers. `uk_syscalls.h` has a line UK(number, name) for each call there is.
 * A handler that an image does not have is the one of `uk_missing.c`. */

#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

#define IPC_64 0

/* Without prototypes: each takes as many words as it needs, all in registers. */
#define UK(nr, name) long uk_sys_##name();
#include "uk_syscalls.h"
#undef UK

long uk_syscall(long n, long a, long b, long c, long d, long e, long f);

#define UK_INLINE static __inline __attribute__((__always_inline__)) long

UK_INLINE __syscall0(long n)
{
	if (__builtin_constant_p(n)) switch (n) {
#define UK(nr, name) case nr: return ((long (*)(void))uk_sys_##name)();
#include "uk_syscalls.h"
#undef UK
	}
	return uk_syscall(n, 0, 0, 0, 0, 0, 0);
}

UK_INLINE __syscall1(long n, long a)
{
	if (__builtin_constant_p(n)) switch (n) {
#define UK(nr, name) case nr: return ((long (*)(long))uk_sys_##name)(a);
#include "uk_syscalls.h"
#undef UK
	}
	return uk_syscall(n, a, 0, 0, 0, 0, 0);
}

UK_INLINE __syscall2(long n, long a, long b)
{
	if (__builtin_constant_p(n)) switch (n) {
#define UK(nr, name) case nr: return ((long (*)(long, long))uk_sys_##name)(a, b);
#include "uk_syscalls.h"
#undef UK
	}
	return uk_syscall(n, a, b, 0, 0, 0, 0);
}

UK_INLINE __syscall3(long n, long a, long b, long c)
{
	if (__builtin_constant_p(n)) switch (n) {
#define UK(nr, name) case nr: return ((long (*)(long, long, long))uk_sys_##name)(a, b, c);
#include "uk_syscalls.h"
#undef UK
	}
	return uk_syscall(n, a, b, c, 0, 0, 0);
}

UK_INLINE __syscall4(long n, long a, long b, long c, long d)
{
	if (__builtin_constant_p(n)) switch (n) {
#define UK(nr, name) case nr: return ((long (*)(long, long, long, long))uk_sys_##name)(a, b, c, d);
#include "uk_syscalls.h"
#undef UK
	}
	return uk_syscall(n, a, b, c, d, 0, 0);
}

UK_INLINE __syscall5(long n, long a, long b, long c, long d, long e)
{
	if (__builtin_constant_p(n)) switch (n) {
#define UK(nr, name) case nr: return ((long (*)(long, long, long, long, long))uk_sys_##name)(a, b, c, d, e);
#include "uk_syscalls.h"
#undef UK
	}
	return uk_syscall(n, a, b, c, d, e, 0);
}

UK_INLINE __syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	if (__builtin_constant_p(n)) switch (n) {
#define UK(nr, name) case nr: return ((long (*)(long, long, long, long, long, long))uk_sys_##name)(a, b, c, d, e, f);
#include "uk_syscalls.h"
#undef UK
	}
	return uk_syscall(n, a, b, c, d, e, f);
}

/* A cancellation point: the thread ends, or the call fails, when cancellation was asked for before
 * the call or while it waited. Costs a call of an empty function where nobody cancels. */
__attribute__((__visibility__("hidden"))) long __uk_cancellation(long n);

UK_INLINE __syscall_cp(long n, long a, long b, long c, long d, long e, long f)
{
	long r = __uk_cancellation(n);
	if (r) return r;
	r = __syscall6(n, a, b, c, d, e, f);
	if (r == -4 /* EINTR */ && n != 3 /* close */) {
		long cancelled = __uk_cancellation(n);
		if (cancelled) return cancelled;
	}
	return r;
}
