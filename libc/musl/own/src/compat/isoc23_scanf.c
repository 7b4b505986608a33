/* As `isoc23_integers.c`. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>

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
