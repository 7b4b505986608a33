/* A thread that begins with a function is a call of the system as well, not a second return. */
#include <stdarg.h>
#include "pthread_impl.h"

struct arguments {
	unsigned long flags;
	void *stack_top;
	int *parent_id;
	void *thread_pointer;
	int *child_id;
};

long uk_sys_clone_thread(int (*func)(void *), void *arg, struct arguments *how);

int __clone(int (*func)(void *), void *stack, int flags, void *arg, ...)
{
	va_list ap;
	struct arguments how = { .flags = (unsigned)flags, .stack_top = stack };
	va_start(ap, arg);
	how.parent_id = va_arg(ap, int *);
	how.thread_pointer = va_arg(ap, void *);
	how.child_id = va_arg(ap, int *);
	va_end(ap);
	return uk_sys_clone_thread(func, arg, &how);
}
