/* Nobody cancels threads in a program without pthread_cancel. */
#include "features.h"

static long none(long n)
{
	return 0;
}

weak_alias(none, __uk_cancellation);
