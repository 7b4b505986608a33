/* Objects of C++ that each thread has its own of (thread_local): destroyed when the thread ends, those of
 * the thread that calls `exit` there, before anything else. */
#include <stdlib.h>
#include <unistd.h>
#include "features.h"

#define malloc __libc_malloc
#define free __libc_free

struct object {
	void (*destroy)(void *);
	void *place;
	struct object *before;
};

static _Thread_local struct object *last;

int __cxa_thread_atexit_impl(void (*destroy)(void *), void *place, void *handle)
{
	static const char none[] = "thread_local: there is no memory\n";
	struct object *object = malloc(sizeof *object);
	if (!object) {
		/* Compilers ignore what is returned: it would never be destroyed, without a word. */
		write(2, none, sizeof none - 1);
		abort();
	}
	*object = (struct object){ destroy, place, last };
	last = object;
	return 0;
}

weak_alias(__cxa_thread_atexit_impl, __cxa_thread_atexit);

/* Called by `exit` and `pthread_exit`. A destructor may make further objects. */
hidden void __uk_end_of_thread(void)
{
	struct object *object;
	while ((object = last)) {
		last = object->before;
		object->destroy(object->place);
		free(object);
	}
}
