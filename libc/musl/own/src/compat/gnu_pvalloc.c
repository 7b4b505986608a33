#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <malloc.h>

/* Whole pages. */
void *pvalloc(size_t n)
{
	if (n > SIZE_MAX - PAGE_SIZE) {
		errno = ENOMEM;
		return 0;
	}
	return memalign(PAGE_SIZE, (n + PAGE_SIZE - 1) & -PAGE_SIZE);
}
