#define _GNU_SOURCE
#include <signal.h>
#include <sys/epoll.h>
#include "syscall.h"

int epoll_pwait2(int fd, struct epoll_event *events, int room, const struct timespec *timeout,
	const sigset_t *mask)
{
	return syscall_cp(SYS_epoll_pwait2, fd, events, room, timeout, mask, _NSIG / 8);
}
