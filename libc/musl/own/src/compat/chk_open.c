/* Without a mode: a file must not be made. */
#define _GNU_SOURCE
#include <fcntl.h>
#include "chk.h"

static void no_mode(int flags)
{
	if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) __uk_overflow();
}

int __open_2(const char *path, int flags)
{
	no_mode(flags);
	return open(path, flags);
}

int __open64_2(const char *path, int flags)
{
	return __open_2(path, flags);
}

int __openat_2(int fd, const char *path, int flags)
{
	no_mode(flags);
	return openat(fd, path, flags);
}

int __openat64_2(int fd, const char *path, int flags)
{
	return __openat_2(fd, path, flags);
}
