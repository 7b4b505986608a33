#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* Without a size: there must be room for PATH_MAX bytes. */
char *getwd(char *to)
{
	if (to) return getcwd(to, PATH_MAX);
	errno = EINVAL;
	return 0;
}
