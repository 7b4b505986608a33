/* Names that glibc's headers from 2.38 on give to functions which read numbers as C23 has them. Here they are
 * those of C99, which do not know the prefix 0b. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <locale.h>
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

long long __isoc23_wcstoll(const wchar_t *text, wchar_t **end, int base)
{
	return wcstoll(text, end, base);
}

unsigned long long __isoc23_wcstoull(const wchar_t *text, wchar_t **end, int base)
{
	return wcstoull(text, end, base);
}

intmax_t __isoc23_wcstoimax(const wchar_t *text, wchar_t **end, int base)
{
	return wcstoimax(text, end, base);
}

uintmax_t __isoc23_wcstoumax(const wchar_t *text, wchar_t **end, int base)
{
	return wcstoumax(text, end, base);
}

/* Digits are the same in each locale. */
#define IN_A_LOCALE(type, name, character) \
type __isoc23_##name##_l(const character *text, character **end, int base, locale_t locale) \
{ \
	return name(text, end, base); \
}

IN_A_LOCALE(long, strtol, char)
IN_A_LOCALE(unsigned long, strtoul, char)
IN_A_LOCALE(long long, strtoll, char)
IN_A_LOCALE(unsigned long long, strtoull, char)
IN_A_LOCALE(long, wcstol, wchar_t)
IN_A_LOCALE(unsigned long, wcstoul, wchar_t)
IN_A_LOCALE(long long, wcstoll, wchar_t)
IN_A_LOCALE(unsigned long long, wcstoull, wchar_t)
