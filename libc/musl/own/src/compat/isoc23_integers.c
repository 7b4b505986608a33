/* Names that glibc's headers from 2.38 on give to functions which read numbers as C23 has them. Here they are
 * those of C99, which do not know the prefix 0b. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdlib.h>
#include <wchar.h>

long __isoc23_strtol(const char *text, char **end, int base)
{
	return strtol(text, end, base);
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base)
{
	return strtoul(text, end, base);
}

long long __isoc23_strtoll(const char *text, char **end, int base)
{
	return strtoll(text, end, base);
}

unsigned long long __isoc23_strtoull(const char *text, char **end, int base)
{
	return strtoull(text, end, base);
}

intmax_t __isoc23_strtoimax(const char *text, char **end, int base)
{
	return strtoimax(text, end, base);
}

uintmax_t __isoc23_strtoumax(const char *text, char **end, int base)
{
	return strtoumax(text, end, base);
}

long __isoc23_wcstol(const wchar_t *text, wchar_t **end, int base)
{
	return wcstol(text, end, base);
}

unsigned long __isoc23_wcstoul(const wchar_t *text, wchar_t **end, int base)
{
	return wcstoul(text, end, base);
}
