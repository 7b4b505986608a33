#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include "chk.h"

const char *__inet_ntop_chk(int family, const void *from, char *to, socklen_t n, size_t room)
{
	check(n, room);
	return inet_ntop(family, from, to, n);
}

int __inet_pton_chk(int family, const char *from, void *to, size_t room)
{
	check(family == AF_INET6 ? sizeof(struct in6_addr) : sizeof(struct in_addr), room);
	return inet_pton(family, from, to);
}
