/* Files by the names that glibc's headers give to calls, and those that musl has no function for. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/types.h>
#include <unistd.h>
#include "syscall.h"

/* What `fcntl` is with files of 64 bits, from glibc 2.28 on. */
int fcntl64(int fd, int command, ...)
{
	va_list list;
	va_start(list, command);
	unsigned long argument = va_arg(list, unsigned long);
	va_end(list);
	return fcntl(fd, command, argument);
}

ssize_t getdirentries(int fd, char *to, size_t n, off_t *from)
{
	off_t position = lseek(fd, 0, SEEK_CUR);
	if (position < 0) return -1;
	long got = syscall(SYS_getdents64, fd, to, n > INT_MAX ? INT_MAX : n);
	if (got >= 0) *from = position;
	return got;
}

weak_alias(getdirentries, getdirentries64);
