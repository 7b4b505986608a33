/* The end of a thread that nobody joins: the system leaves the stack before it unmaps it. */
#include "pthread_impl.h"

_Noreturn void uk_sys_exit_and_unmap(void *base, size_t size);

void __unmapself(void *base, size_t size)
{
	uk_sys_exit_and_unmap(base, size);
}
