/* What a system call costs that does nothing, in ticks of the time-stamp counter. `oxk bench syscall`
 * runs this. With an argument also the call by its instruction, under that name: where the image is a
 * Linux process it is Linux's own, unless the image has a way in for it. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CALLS = 1000, ROUNDS = 200 };

static uint64_t ticks(void)
{
	uint32_t low, high;
	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* A volatile number is one that the compiler does not know. */
static volatile long by_table = SYS_getppid;

static __attribute__((noipa)) long function(void)
{
	__asm__ volatile("" : : : "memory");
	return 0;
}

/* As calls of a C library are: the handler's result is made an int. */
static __attribute__((noipa)) int wrapper(void)
{
	return (int)function();
}

static void call_function(void)
{
	function();
}

static void call_wrapper(void)
{
	wrapper();
}

static void call_library(void)
{
	getppid();
}

static void call_by_number(void)
{
	syscall(by_table);
}

static void call_by_instruction(void)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(SYS_getppid) : "rcx", "r11", "memory");
}

/* A macro, so that each loop has its own body, without a call through a pointer. */
#define MEASURE(name, what)                                                     \
	do {                                                                    \
		uint64_t best = UINT64_MAX;                                     \
		for (int round = 0; round < ROUNDS; round++) {                  \
			uint64_t start = ticks();                               \
			for (int i = 0; i < CALLS; i++) {                       \
				what();                                         \
				__asm__ volatile("" : : : "memory");            \
			}                                                       \
			uint64_t time = ticks() - start;                        \
			if (time < best) best = time;                           \
		}                                                               \
		printf("%s: %.1f cycles\n", name, (double)best / CALLS);        \
	} while (0)

static void nothing(void)
{
}

int main(int argc, char **argv)
{
	MEASURE("loop", nothing);
	MEASURE("function", call_function);
	MEASURE("wrapper", call_wrapper);
	MEASURE("library", call_library);
	MEASURE("number", call_by_number);
	if (argc > 1)
		MEASURE(argv[1], call_by_instruction);
	return 0;
}
