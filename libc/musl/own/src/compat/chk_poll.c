#define _GNU_SOURCE
#include <poll.h>
#include <sys/select.h>
#include "chk.h"

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room)
{
	check(count, room / sizeof *fds);
	return poll(fds, count, timeout);
}

int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	const sigset_t *mask, size_t room)
{
	check(count, room / sizeof *fds);
	return ppoll(fds, count, timeout, mask);
}

/* Which word of an fd_set a descriptor is in. */
long __fdelt_chk(long fd)
{
	if (fd < 0 || fd >= FD_SETSIZE) __uk_overflow();
	return fd / (8 * sizeof(long));
}

long __fdelt_warn(long fd)
{
	return __fdelt_chk(fd);
}
