#define _GNU_SOURCE
#include <stdio.h>
#include "chk.h"

char *__fgets_chk(char *to, size_t room, int n, FILE *file)
{
	check(n < 0 ? 0 : n, room);
	return fgets(to, n, file);
}

/* As `gets`: a line, without its end. */
char *__gets_chk(char *to, size_t room)
{
	size_t n = 0;
	int c;
	while ((c = getchar()) != EOF && c != '\n') {
		check(n + 2, room);
		to[n++] = c;
	}
	if (c == EOF && (!n || ferror(stdin))) return 0;
	check(n + 1, room);
	to[n] = 0;
	return to;
}

char *__fgets_unlocked_chk(char *to, size_t room, int n, FILE *file)
{
	return __fgets_chk(to, room, n, file);
}

size_t __fread_chk(void *to, size_t room, size_t size, size_t count, FILE *file)
{
	if (size && count > room / size) __uk_overflow();
	return fread(to, size, count, file);
}

size_t __fread_unlocked_chk(void *to, size_t room, size_t size, size_t count, FILE *file)
{
	return __fread_chk(to, room, size, count, file);
}
