/* What makes an ordinary Linux program of objects for an image: the C library's calls of handlers
 * become traps into Linux. */

static long trap(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;
	__asm__ volatile ("syscall" : "=a"(result)
		: "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return result;
}

#define UK(nr, name) \
	long uk_sys_##name(long a, long b, long c, long d, long e, long f) \
	{ return trap(nr, a, b, c, d, e, f); }
#include "uk_syscalls.h"

long uk_syscall(long n, long a, long b, long c, long d, long e, long f)
{
	return trap(n, a, b, c, d, e, f);
}

/* Calls that Linux has in another shape. The program makes no threads, so no thread ends either. */
long uk_sys_clone_thread(int (*func)(void *), void *arg, void *how)
{
	return -38; /* ENOSYS */
}

_Noreturn void uk_sys_exit_and_unmap(void *base, unsigned long size)
{
	__builtin_trap();
}

int main(int, char **, char **);
int __libc_start_main(int (*)(int, char **, char **), int, char **, void *, void *, void *);

/* At `_start` the stack holds the number of arguments and the arguments (x86-64 psABI, 3.4.1). */
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start_c\n");

void start_c(long *stack)
{
	__libc_start_main(main, stack[0], (char **)(stack + 1), 0, 0, 0);
}
