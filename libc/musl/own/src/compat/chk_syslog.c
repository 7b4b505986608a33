#define _GNU_SOURCE
#include <stdarg.h>
#include <syslog.h>

void __vsyslog_chk(int priority, int flag, const char *format, va_list list)
{
	vsyslog(priority, format, list);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsyslog(priority, format, list);
	va_end(list);
}
