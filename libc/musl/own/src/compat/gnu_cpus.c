/* glibc's macros CPU_ALLOC and CPU_FREE are calls. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>

cpu_set_t *__sched_cpualloc(size_t count)
{
	return CPU_ALLOC(count);
}

void __sched_cpufree(cpu_set_t *set)
{
	CPU_FREE(set);
}
