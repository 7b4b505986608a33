/* As `isoc23_integers.c`. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

int __isoc23_vsscanf(const char *text, const char *format, va_list list)
{
	return vsscanf(text, format, list);
}

int __isoc23_sscanf(const char *text, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vsscanf(text, format, list);
	va_end(list);
	return result;
}

int __isoc23_vfscanf(FILE *file, const char *format, va_list list)
{
	return vfscanf(file, format, list);
}

int __isoc23_fscanf(FILE *file, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vfscanf(file, format, list);
	va_end(list);
	return result;
}

int __isoc23_scanf(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vscanf(format, list);
	va_end(list);
	return result;
}

int __isoc23_vscanf(const char *format, va_list list)
{
	return vscanf(format, list);
}

int __isoc23_vswscanf(const wchar_t *text, const wchar_t *format, va_list list)
{
	return vswscanf(text, format, list);
}

int __isoc23_swscanf(const wchar_t *text, const wchar_t *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vswscanf(text, format, list);
	va_end(list);
	return result;
}

int __isoc23_vfwscanf(FILE *file, const wchar_t *format, va_list list)
{
	return vfwscanf(file, format, list);
}

int __isoc23_fwscanf(FILE *file, const wchar_t *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vfwscanf(file, format, list);
	va_end(list);
	return result;
}

int __isoc23_vwscanf(const wchar_t *format, va_list list)
{
	return vwscanf(format, list);
}

int __isoc23_wscanf(const wchar_t *format, ...)
{
	va_list list;
	va_start(list, format);
	int result = vwscanf(format, list);
	va_end(list);
	return result;
}
