#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include "chk.h"

ssize_t __read_chk(int fd, void *to, size_t n, size_t room)
{
	check(n, room);
	return read(fd, to, n);
}

ssize_t __pread_chk(int fd, void *to, size_t n, off_t at, size_t room)
{
	check(n, room);
	return pread(fd, to, n, at);
}

ssize_t __pread64_chk(int fd, void *to, size_t n, off_t at, size_t room)
{
	return __pread_chk(fd, to, n, at, room);
}

ssize_t __readlink_chk(const char *path, char *to, size_t n, size_t room)
{
	check(n, room);
	return readlink(path, to, n);
}

ssize_t __readlinkat_chk(int fd, const char *path, char *to, size_t n, size_t room)
{
	check(n, room);
	return readlinkat(fd, path, to, n);
}

char *__getcwd_chk(char *to, size_t n, size_t room)
{
	check(n, room);
	return getcwd(to, n);
}

char *__getwd_chk(char *to, size_t room)
{
	if (to && !getcwd(to, room < PATH_MAX ? room : PATH_MAX)) {
		/* The name is longer than the room that was known. */
		if (errno == ERANGE && room < PATH_MAX) __uk_overflow();
		return 0;
	}
	if (!to) errno = EINVAL;
	return to;
}

char *__realpath_chk(const char *path, char *to, size_t room)
{
	check(PATH_MAX, room);
	return realpath(path, to);
}

int __gethostname_chk(char *to, size_t n, size_t room)
{
	check(n, room);
	return gethostname(to, n);
}

int __getgroups_chk(int n, gid_t *to, size_t room)
{
	if (n > 0) check(n * sizeof *to, room);
	return getgroups(n, to);
}

size_t __confstr_chk(int name, char *to, size_t n, size_t room)
{
	check(n, room);
	return confstr(name, to, n);
}

int __ttyname_r_chk(int fd, char *to, size_t n, size_t room)
{
	check(n, room);
	return ttyname_r(fd, to, n);
}

int __ptsname_r_chk(int fd, char *to, size_t n, size_t room)
{
	check(n, room);
	return ptsname_r(fd, to, n);
}

int __getlogin_r_chk(char *to, size_t n, size_t room)
{
	check(n, room);
	return getlogin_r(to, n);
}

int __getdomainname_chk(char *to, size_t n, size_t room)
{
	check(n, room);
	return getdomainname(to, n);
}
