/* Faults as signals, and memory with other rights; run by the host, too. */
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "check.h"

#define PAGE 4096

static sigjmp_buf back;
static volatile siginfo_t seen;
static volatile uintptr_t where;
static volatile int calls;

static void jump(int signal, siginfo_t *info, void *context)
{
	char here;
	where = (uintptr_t)&here;
	*(siginfo_t *)&seen = *info;
	calls++;
	siglongjmp(back, signal);
}

static void on(int signal, void *function, int flags)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | flags };
	action.sa_sigaction = function;
	CHECK(!sigaction(signal, &action, 0));
}

/* The signal that an access ends with, or 0. */
#define FAULT(access) (__extension__({ \
	int signal = sigsetjmp(back, 1); \
	if (!signal) { access; } \
	signal; \
}))

static int mapped_faults(void)
{
	/* Where memory cannot have other rights, there is nothing to find. */
	volatile char *page = mmap(0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int enforced = FAULT(page[5]) == SIGSEGV;
	if (enforced)
		CHECK(seen.si_code == SEGV_ACCERR && seen.si_addr == (void *)(page + 5));
	munmap((void *)page, PAGE);
	return enforced;
}

static void rights(void)
{
	volatile char *at = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset((void *)at, 'a', 4 * PAGE);
	CHECK(!mprotect((void *)(at + PAGE), 2 * PAGE, PROT_READ));
	CHECK(FAULT(at[PAGE] = 'b') == SIGSEGV);
	CHECK(seen.si_signo == SIGSEGV && seen.si_code == SEGV_ACCERR);
	CHECK(seen.si_addr == (void *)(at + PAGE));
	CHECK(at[PAGE] == 'a');
	CHECK(FAULT(at[3 * PAGE] = 'b') == 0 && at[3 * PAGE] == 'b');
	CHECK(FAULT(at[3 * PAGE - 1] = 'b') == SIGSEGV);
	CHECK(!mprotect((void *)at, 3 * PAGE, PROT_NONE));
	CHECK(FAULT((void)at[0]) == SIGSEGV && seen.si_code == SEGV_ACCERR);
	CHECK(FAULT(memset((void *)at, 0, 10)) == SIGSEGV);
	CHECK(!mprotect((void *)at, 4 * PAGE, PROT_READ | PROT_WRITE));
	CHECK(FAULT(at[PAGE] = 'c') == 0 && at[PAGE] == 'c' && at[0] == 'a');
	CHECK(!mprotect((void *)at, PAGE, PROT_READ));
	CHECK(!munmap((void *)at, 4 * PAGE));
}

/* A handler that makes the access possible and returns: the access is made again. */
static volatile char *guarded;

static void allow(int signal, siginfo_t *info, void *context)
{
	calls++;
	CHECK(!mprotect((void *)guarded, PAGE, PROT_READ | PROT_WRITE));
}

static void again(void)
{
	guarded = mmap(0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	on(SIGSEGV, allow, 0);
	calls = 0;
	double kept = 1.5;
	__asm__ volatile("" : "+x"(kept));
	guarded[8] = 'x';
	__asm__ volatile("" : "+x"(kept));
	CHECK(calls == 1 && guarded[8] == 'x' && kept == 1.5);
	munmap((void *)guarded, PAGE);
}

/* A handler that changes registers: the code goes on behind the instruction. */
static void skip(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	calls++;
	CHECK(registers[REG_RCX] == 0x1234);
	registers[REG_RIP] += 2;
	registers[REG_RAX] = 77;
}

static void changed_registers(void)
{
	long result = 0;
	on(SIGILL, skip, 0);
	calls = 0;
	/* ud2 is two bytes long. */
	__asm__ volatile("ud2" : "+a"(result) : "c"(0x1234L));
	CHECK(calls == 1 && result == 77);
}

static void numbers(void)
{
	volatile int zero = 0, one = 1;
	on(SIGFPE, jump, 0);
	CHECK(FAULT(one /= zero) == SIGFPE && seen.si_code == FPE_INTDIV);
	on(SIGILL, jump, 0);
	CHECK(FAULT(__asm__ volatile("ud2")) == SIGILL && seen.si_code == ILL_ILLOPN);
	on(SIGSEGV, jump, 0);
	CHECK(FAULT(*(volatile int *)8 = 1) == SIGSEGV);
	CHECK(seen.si_code == SEGV_MAPERR && seen.si_addr == (void *)8);
	CHECK(FAULT(*(volatile int *)(0x8000000000000000ul + zero) = 1) == SIGSEGV);
	CHECK(seen.si_code == SI_KERNEL);
	/* Division by zero of the vector unit, if it is told not to hide it. */
	unsigned control;
	__asm__ volatile("stmxcsr %0" : "=m"(control));
	unsigned open = control & ~(1u << 9);
	volatile double dividend = 1, divisor = 0;
	int raised = FAULT(__asm__ volatile("ldmxcsr %0" : : "m"(open)); dividend /= divisor);
	/* Machines that are emulated hide it even so. */
	if (raised)
		CHECK(raised == SIGFPE && seen.si_code == FPE_FLTDIV);
	printf("the vector unit %s\n", raised ? "complains" : "does not complain");
	__asm__ volatile("ldmxcsr %0" : : "m"(control));
}

/* The stack is used up: only another one helps. */
static char alternate[64 << 10];

static __attribute__((noinline)) int deep(int n)
{
	volatile char space[2000];
	space[0] = n;
	return deep(n + 1) + space[0];
}

static void *overflow(void *argument)
{
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof alternate };
	CHECK(!sigaltstack(&stack, 0));
	calls = 0;
	CHECK(FAULT(deep(0)) == SIGSEGV);
	CHECK(calls == 1 && where - (uintptr_t)alternate < sizeof alternate);
	stack.ss_flags = SS_DISABLE;
	CHECK(!sigaltstack(&stack, 0));
	return argument;
}

static void overflows(void)
{
	pthread_t thread;
	on(SIGSEGV, jump, SA_ONSTACK);
	if (pthread_create(&thread, 0, overflow, 0) == 0)
		CHECK(!pthread_join(thread, 0));
}

/* What is blocked while the handler runs, and that it is as before afterwards. */
static void masks(void)
{
	sigset_t set;
	on(SIGSEGV, jump, 0);
	CHECK(FAULT(*(volatile int *)8 = 1) == SIGSEGV);
	CHECK(!sigprocmask(SIG_BLOCK, 0, &set) && !sigismember(&set, SIGSEGV));
	/* Once more, from the same place. */
	for (int i = 0; i < 100; i++)
		CHECK(FAULT(*(volatile int *)8 = 1) == SIGSEGV);
}

void test_faults(void)
{
	on(SIGSEGV, jump, 0);
	int enforced = mapped_faults();
	printf("rights of memory are %s\n", enforced ? "enforced" : "remembered");
	if (enforced) {
		rights();
		again();
	}
	changed_registers();
	numbers();
	masks();
	if (enforced)
		overflows();
	for (int *signal = (int[]){ SIGSEGV, SIGILL, SIGFPE, 0 }; *signal; signal++)
		CHECK(signal != 0 && sigaction(*signal, &(struct sigaction){ .sa_handler = SIG_DFL }, 0) == 0);
}
