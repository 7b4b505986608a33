#define _GNU_SOURCE
#include <sys/socket.h>
#include "chk.h"

ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags)
{
	check(n, room);
	return recv(fd, to, n, flags);
}

ssize_t __recvfrom_chk(int fd, void *to, size_t n, size_t room, int flags,
	struct sockaddr *address, socklen_t *length)
{
	check(n, room);
	return recvfrom(fd, to, n, flags, address, length);
}
