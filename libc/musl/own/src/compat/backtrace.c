/* The chain of calls, by the frame pointers that everything in an image keeps. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct frame {
	struct frame *caller;
	void *return_address;
};

/* Code without frame pointers leaves anything in the register: a frame must be further up
 * the stack than the one before, and not far. */
static int follows(const struct frame *frame, const struct frame *caller)
{
	uintptr_t distance = (uintptr_t)caller - (uintptr_t)frame;
	return caller > frame && distance < 1 << 20 && distance % sizeof(void *) == 0;
}

int backtrace(void **to, int room)
{
	struct frame *frame = __builtin_frame_address(0);
	int n = 0;
	while (n < room && frame->return_address) {
		to[n++] = frame->return_address;
		if (!follows(frame, frame->caller)) break;
		frame = frame->caller;
	}
	return n;
}

/* As glibc does where it knows no names; `oxk` knows them, see the chapter about crash reports. */
#define FORMAT "[%p]"
#define WIDTH sizeof "[0x0123456789abcdef]"

char **backtrace_symbols(void *const *addresses, int n)
{
	if (n < 0) return 0;
	char **names = malloc(n * (sizeof *names + WIDTH) + 1);
	if (!names) return 0;
	char *text = (char *)(names + n);
	for (int i = 0; i < n; i++, text += WIDTH) {
		names[i] = text;
		snprintf(text, WIDTH, FORMAT, addresses[i]);
	}
	return names;
}

void backtrace_symbols_fd(void *const *addresses, int n, int fd)
{
	for (int i = 0; i < n; i++) dprintf(fd, FORMAT "\n", addresses[i]);
}
