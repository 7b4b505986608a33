/* What takes the place of handlers that an image does not have: ENOSYS, counted by number. */

long uk_syscall_missing(long nr);

#define UK(nr, name) \
	__attribute__((__weak__)) long uk_sys_##name(void) { return uk_syscall_missing(nr); }
#include "uk_syscalls.h"
