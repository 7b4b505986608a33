/* As `preadv` and `pwritev`; the offset -1 means the position of the file. */
#define _GNU_SOURCE
#include <sys/uio.h>
#include "syscall.h"

ssize_t preadv2(int fd, const struct iovec *buffers, int count, off_t at, int flags)
{
	return syscall_cp(SYS_preadv2, fd, buffers, count, (long)at, 0, flags);
}

ssize_t pwritev2(int fd, const struct iovec *buffers, int count, off_t at, int flags)
{
	return syscall_cp(SYS_pwritev2, fd, buffers, count, (long)at, 0, flags);
}

#undef preadv64v2
weak_alias(preadv2, preadv64v2);
#undef pwritev64v2
weak_alias(pwritev2, pwritev64v2);
