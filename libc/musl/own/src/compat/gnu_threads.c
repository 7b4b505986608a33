#define _GNU_SOURCE
#include <sched.h>

/* Whether a program may do without atomic instructions: read by libstdc++. */
char __libc_single_threaded = 0;

int pthread_yield(void)
{
	return sched_yield();
}
