#include <pthread.h>

/* `pthread_atfork` of glibc, for the object that it is called in. */
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object)
{
	return pthread_atfork(prepare, parent, child);
}
