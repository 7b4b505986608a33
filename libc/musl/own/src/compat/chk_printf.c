/* Formatted output to streams and descriptors. The flag asks for a check of %n, of which there is
 * none here. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

int __vfprintf_chk(FILE *file, int flag, const char *format, va_list list)
{
	return vfprintf(file, format, list);
}

int __fprintf_chk(FILE *file, int flag, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vfprintf(file, format, list);
	va_end(list);
	return result;
}

int __vprintf_chk(int flag, const char *format, va_list list)
{
	return vprintf(format, list);
}

int __printf_chk(int flag, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vprintf(format, list);
	va_end(list);
	return result;
}

int __vdprintf_chk(int fd, int flag, const char *format, va_list list)
{
	return vdprintf(fd, format, list);
}

int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vdprintf(fd, format, list);
	va_end(list);
	return result;
}

int __vfwprintf_chk(FILE *file, int flag, const wchar_t *format, va_list list)
{
	return vfwprintf(file, format, list);
}

int __fwprintf_chk(FILE *file, int flag, const wchar_t *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vfwprintf(file, format, list);
	va_end(list);
	return result;
}

int __vwprintf_chk(int flag, const wchar_t *format, va_list list)
{
	return vwprintf(format, list);
}

int __wprintf_chk(int flag, const wchar_t *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vwprintf(format, list);
	va_end(list);
	return result;
}
