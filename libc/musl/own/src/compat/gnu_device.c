/* glibc has the macros of sys/sysmacros.h as functions. */
#include <sys/sysmacros.h>

unsigned gnu_dev_major(unsigned long long device)
{
	return major(device);
}

unsigned gnu_dev_minor(unsigned long long device)
{
	return minor(device);
}

unsigned long long gnu_dev_makedev(unsigned major, unsigned minor)
{
	return makedev(major, minor);
}
