/* A thread that begins with a function is a call of the system as well, not a second return. */
#include <stdarg.h>
#include "pthread_impl.h"

int uk_clone(int (*func)(void *), void *stack, int flags, void *arg, int *ptid, void *tls, int *ctid);

int __clone(int (*func)(void *), void *stack, int flags, void *arg, ...)
{
	va_list ap;
	va_start(ap, arg);
	int *ptid = va_arg(ap, int *);
	void *tls = va_arg(ap, void *);
	int *ctid = va_arg(ap, int *);
	va_end(ap);
	return uk_clone(func, stack, flags, arg, ptid, tls, ctid);
}
