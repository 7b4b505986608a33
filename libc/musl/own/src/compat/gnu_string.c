#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>

void *rawmemchr(const void *from, int c)
{
	return memchr(from, c, SIZE_MAX);
}

void *__rawmemchr(const void *from, int c)
{
	return memchr(from, c, SIZE_MAX);
}
