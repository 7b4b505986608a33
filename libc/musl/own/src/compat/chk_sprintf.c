/* Formatted output to memory. The flag asks for a check of %n, of which there is none here. */
#define _GNU_SOURCE
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include "chk.h"

int __vsnprintf_chk(char *to, size_t n, int flag, size_t room, const char *format, va_list list)
{
	check(n, room);
	return vsnprintf(to, n, format, list);
}

int __snprintf_chk(char *to, size_t n, int flag, size_t room, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = __vsnprintf_chk(to, n, flag, room, format, list);
	va_end(list);
	return result;
}

int __vsprintf_chk(char *to, int flag, size_t room, const char *format, va_list list)
{
	/* More than the largest int cannot be written. */
	int result = vsnprintf(to, room < INT_MAX ? room : INT_MAX, format, list);
	if (result >= 0) check((size_t)result + 1, room);
	return result;
}

int __sprintf_chk(char *to, int flag, size_t room, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = __vsprintf_chk(to, flag, room, format, list);
	va_end(list);
	return result;
}

int __vasprintf_chk(char **to, int flag, const char *format, va_list list)
{
	return vasprintf(to, format, list);
}

int __asprintf_chk(char **to, int flag, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vasprintf(to, format, list);
	va_end(list);
	return result;
}
