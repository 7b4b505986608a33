#define _GNU_SOURCE
#include <limits.h>
#include <unistd.h>
#include "syscall.h"

int close_range(unsigned first, unsigned last, int flags)
{
	return syscall(SYS_close_range, first, last, flags);
}

void closefrom(int first)
{
	close_range(first < 0 ? 0 : first, UINT_MAX, 0);
}
