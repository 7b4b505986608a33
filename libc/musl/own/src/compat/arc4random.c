/* Random numbers as glibc has from 2.36 on: of the system, without a state in the program. */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

void arc4random_buf(void *to, size_t n)
{
	for (char *at = to; n; ) {
		ssize_t got = getrandom(at, n, 0);
		/* The functions cannot fail, and numbers that are none must not be used. */
		if (got <= 0) abort();
		at += got;
		n -= got;
	}
}

uint32_t arc4random(void)
{
	uint32_t word;
	arc4random_buf(&word, sizeof word);
	return word;
}

uint32_t arc4random_uniform(uint32_t limit)
{
	if (limit < 2) return 0;
	/* Words below 2^32 mod limit would make small results more frequent. */
	uint32_t first = -limit % limit, word;
	do word = arc4random(); while (word < first);
	return word % limit;
}
