/* System calls by their instruction: results, and what is kept as Linux keeps it. On Linux itself this
 * finds the same. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include "check.h"

enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8, R9, R10, R11, R12, R13, R14, R15, FLAGS };

struct state {
	uint64_t general[16];
	_Alignas(32) unsigned char vectors[16][32];
	unsigned char red_zone[128];
	uint32_t mxcsr;
};

/* Makes a call with these registers, and stores those found after it. */
void trap_with(const struct state *given, struct state *found, long avx);

#define VECTORS(what) \
	what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7) \
	what(8) what(9) what(10) what(11) what(12) what(13) what(14) what(15)
#define LOAD_SSE(n) "movdqu 128+32*" #n "(%rdi), %xmm" #n "\n"
#define LOAD_AVX(n) "vmovdqu 128+32*" #n "(%rdi), %ymm" #n "\n"
#define STORE_SSE(n) "movdqu %xmm" #n ", 128+32*" #n "(%rcx)\n"
#define STORE_AVX(n) "vmovdqu %ymm" #n ", 128+32*" #n "(%rcx)\n"

__asm__(
	".text\n"
	".globl trap_with\n"
	".type trap_with, @function\n"
	"trap_with:\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"push %rdx\n push %rsi\n"
	/* What is below the stack pointer is the code's own. */
	"mov $16, %ecx\n"
	"1: mov 640-8(%rdi, %rcx, 8), %rax\n"
	"mov %rax, -136(%rsp, %rcx, 8)\n"
	"dec %ecx\n jnz 1b\n"
	"ldmxcsr 768(%rdi)\n"
	"test %rdx, %rdx\n jz 2f\n"
	VECTORS(LOAD_AVX)
	"jmp 3f\n"
	"2:\n"
	VECTORS(LOAD_SSE)
	"3:\n"
	"mov 8(%rdi), %rbx\n mov 24(%rdi), %rdx\n mov 32(%rdi), %rsi\n mov 48(%rdi), %rbp\n"
	"mov 56(%rdi), %r8\n mov 64(%rdi), %r9\n mov 72(%rdi), %r10\n mov 88(%rdi), %r12\n"
	"mov 96(%rdi), %r13\n mov 104(%rdi), %r14\n mov 112(%rdi), %r15\n"
	/* Carry, sign, zero: not by the stack, whose red zone is in use. */
	"mov 120(%rdi), %rax\n sahf\n"
	"mov 0(%rdi), %rax\n mov 40(%rdi), %rdi\n"
	"syscall\n"
	"mov (%rsp), %rcx\n"
	"mov %rax, 0(%rcx)\n"
	"lahf\n mov %rax, 120(%rcx)\n"
	"mov %rbx, 8(%rcx)\n mov %rdx, 24(%rcx)\n mov %rsi, 32(%rcx)\n mov %rdi, 40(%rcx)\n"
	"mov %rbp, 48(%rcx)\n mov %r8, 56(%rcx)\n mov %r9, 64(%rcx)\n mov %r10, 72(%rcx)\n"
	"mov %r12, 88(%rcx)\n mov %r13, 96(%rcx)\n mov %r14, 104(%rcx)\n mov %r15, 112(%rcx)\n"
	"stmxcsr 768(%rcx)\n"
	"mov $16, %edx\n"
	"1: mov -136(%rsp, %rdx, 8), %rax\n"
	"mov %rax, 640-8(%rcx, %rdx, 8)\n"
	"dec %edx\n jnz 1b\n"
	"mov 8(%rsp), %rdx\n"
	"test %rdx, %rdx\n jz 2f\n"
	VECTORS(STORE_AVX)
	"vzeroupper\n"
	"jmp 3f\n"
	"2:\n"
	VECTORS(STORE_SSE)
	"3:\n"
	"pop %rsi\n pop %rdx\n"
	"pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
	"ret\n"
	".size trap_with, . - trap_with\n");
_Static_assert(__builtin_offsetof(struct state, vectors) == 128, "as the assembly has it");
_Static_assert(__builtin_offsetof(struct state, red_zone) == 640, "as the assembly has it");
_Static_assert(__builtin_offsetof(struct state, mxcsr) == 768, "as the assembly has it");

static long trap(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static int has_avx(void)
{
	uint32_t a = 1, b, c = 0, d;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if ((c & (3u << 27)) != 3u << 27)
		return 0;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return (a & 6) == 6;
}

/* One call with registers that only this seed has. */
static void keeps(unsigned seed, long number, const long *arguments, long result)
{
	struct state given, found;
	int avx = has_avx();
	memset(&given, 0, sizeof given);
	memset(&found, 0, sizeof found);
	for (int i = 0; i < 16; i++) {
		given.general[i] = seed * 1000003u + i + ((uint64_t)seed << 40);
		memset(given.vectors[i], seed * 31 + i, sizeof given.vectors[i]);
	}
	for (int i = 0; i < 128; i++)
		given.red_zone[i] = seed * 7 + i;
	given.mxcsr = 0x1f80 | (seed & 3) << 13;
	given.general[RAX] = number;
	/* Of the flags, in bits 8 to 15: sign, zero, carry in turn. */
	given.general[FLAGS] = (uint64_t[]){ 0x8200, 0x4200, 0x0300, 0x0200 }[seed & 3];
	if (arguments) {
		given.general[RDI] = arguments[0];
		given.general[RSI] = arguments[1];
		given.general[RDX] = arguments[2];
	}
	trap_with(&given, &found, avx);
	__asm__ volatile("ldmxcsr %0" : : "m"((uint32_t){ 0x1f80 }));
	CHECK((long)found.general[RAX] == result);
	int kept[] = { RBX, RDX, RSI, RDI, RBP, R8, R9, R10, R12, R13, R14, R15 };
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		CHECK(found.general[kept[i]] == given.general[kept[i]]);
	CHECK((found.general[FLAGS] & 0xc500) == (given.general[FLAGS] & 0xc500));
	for (int i = 0; i < 16; i++)
		CHECK(!memcmp(found.vectors[i], given.vectors[i], avx ? 32 : 16));
	CHECK(!memcmp(found.red_zone, given.red_zone, sizeof given.red_zone));
	CHECK((found.mxcsr & 0xffc0) == given.mxcsr);
}

static void results(void)
{
	CHECK(trap(SYS_getpid, 0, 0, 0) == getpid());
	CHECK(trap(SYS_close, -1, 0, 0) == -EBADF);
	CHECK(trap(SYS_write, 1, (long)"by instruction\n", 15) == 15);
	/* What nobody has, whatever the upper half of the register says. */
	CHECK(trap(9999, 0, 0, 0) == -ENOSYS);
	CHECK(trap(-1, 0, 0, 0) == -ENOSYS);
	CHECK(trap(-513, 0, 0, 0) == -ENOSYS);
	CHECK(trap(SYS_getpid | 5l << 32, 0, 0, 0) == getpid());
	/* Six arguments. */
	struct timespec now = { 0 };
	CHECK(!trap(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0) && now.tv_sec + now.tv_nsec > 0);
	register long r10 __asm__("r10") = 0x22; /* MAP_PRIVATE | MAP_ANONYMOUS */
	register long r8 __asm__("r8") = -1;
	register long r9 __asm__("r9") = 0;
	long page;
	__asm__ volatile("syscall"
			 : "=a"(page)
			 : "a"(SYS_mmap), "D"(0), "S"(8192), "d"(3), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	CHECK(page > 0);
	if (page > 0) {
		*(volatile char *)(page + 5000) = 7;
		CHECK(!trap(SYS_munmap, page, 8192, 0));
	}
}

/* Calls that wait, while others have the registers. */
static void *waits(void *argument)
{
	unsigned seed = (uintptr_t)argument;
	struct timespec time = { 0, 100000 };
	for (int i = 0; i < 100; i++) {
		keeps(seed * 100 + i, SYS_sched_yield, 0, 0);
		if (i % 20 == 0)
			keeps(seed * 100 + i, SYS_nanosleep, (long[]){ (long)&time, 0, 0 }, 0);
		keeps(seed * 100 + i, 9999, 0, -ENOSYS);
	}
	return 0;
}

static void threads(void)
{
	pthread_t threads[4];
	for (uintptr_t i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], 0, waits, (void *)(i + 1)));
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_join(threads[i], 0));
}

static void *writes(void *argument)
{
	trap(SYS_sched_yield, 0, 0, 0);
	CHECK(trap(SYS_write, *(int *)argument, (long)"x", 1) == 1);
	return 0;
}

static void a_read_that_waits(void)
{
	int ends[2];
	char byte = 0;
	pthread_t thread;
	CHECK(!trap(SYS_pipe, (long)ends, 0, 0));
	CHECK(!pthread_create(&thread, 0, writes, &ends[1]));
	CHECK(trap(SYS_read, ends[0], (long)&byte, 1) == 1 && byte == 'x');
	CHECK(!pthread_join(thread, 0));
	CHECK(!trap(SYS_close, ends[0], 0, 0) && !trap(SYS_close, ends[1], 0, 0));
}

static volatile int handled;
static sigjmp_buf back;

static void handler(int signal)
{
	handled++;
	/* Nested, on the same stack. */
	CHECK(trap(SYS_getpid, 0, 0, 0) == getpid());
	if (signal == SIGUSR2)
		siglongjmp(back, 1);
}

/* Signals come when the call ends; their handlers may never return. */
static void signals(void)
{
	signal(SIGUSR1, handler);
	signal(SIGUSR2, handler);
	long arguments[] = { getpid(), SIGUSR1, 0 };
	for (int i = 1; i <= 3; i++) {
		keeps(i, SYS_kill, arguments, 0);
		CHECK(handled == i);
	}
	for (volatile int i = 1; i <= 3; i++) {
		if (!sigsetjmp(back, 1)) {
			trap(SYS_kill, getpid(), SIGUSR2, 0);
			CHECK(!"comes here");
		}
		CHECK(handled == 3 + i);
	}
	keeps(4, SYS_getpid, 0, getpid());
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

void test_traps(void)
{
	results();
	keeps(1, SYS_getpid, 0, getpid());
	threads();
	a_read_that_waits();
	signals();
}
