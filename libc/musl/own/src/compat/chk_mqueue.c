/* Without a mode: a queue must not be made. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include "chk.h"

mqd_t __mq_open_2(const char *name, int flags)
{
	if (flags & O_CREAT) __uk_overflow();
	return mq_open(name, flags);
}
