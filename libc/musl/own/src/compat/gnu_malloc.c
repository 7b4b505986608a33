/* What glibc tells its allocator. The image's is told in the manifest. */
#include <stddef.h>

/* Nothing was given back. */
int malloc_trim(size_t keep)
{
	return 0;
}

/* The option is not known. */
int mallopt(int option, int value)
{
	return 0;
}
