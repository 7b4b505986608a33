#define _GNU_SOURCE
#include <stdio.h>
#include "syscall.h"

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}
