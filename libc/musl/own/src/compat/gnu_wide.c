#define _GNU_SOURCE
#include <wchar.h>

wchar_t *wmempcpy(wchar_t *restrict to, const wchar_t *restrict from, size_t n)
{
	return wmemcpy(to, from, n) + n;
}

/* As `strlcpy` and `strlcat`, of POSIX.1-2024. */

size_t wcslcpy(wchar_t *restrict to, const wchar_t *restrict from, size_t room)
{
	size_t n = wcslen(from);
	if (room) {
		size_t copied = n < room ? n : room - 1;
		wmemcpy(to, from, copied);
		to[copied] = 0;
	}
	return n;
}

size_t wcslcat(wchar_t *restrict to, const wchar_t *restrict from, size_t room)
{
	size_t n = wcsnlen(to, room);
	return n + wcslcpy(to + n, from, room - n);
}
