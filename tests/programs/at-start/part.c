#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <error.h>
#include <execinfo.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <ucontext.h>
#include <unistd.h>
#ifndef __GLIBC__
#error "this machine has no headers of glibc"
#endif
// A generator: each `next` goes on in `numbers`, which comes back with the next number.
static ucontext_t main_context, generator;
static int number, stack[4096];
static void numbers(int a, int b, int c, int d, int e, int f, int seventh, void *eighth) {
    number = a + b + c + d + e + f;
    swapcontext(&generator, &main_context);
    number = eighth == stack ? seventh : -1;
}
static int next(void) {
    swapcontext(&main_context, &generator);
    return number;
}
static void contexts(void) {
    getcontext(&generator);
    generator.uc_stack.ss_sp = stack;
    generator.uc_stack.ss_size = sizeof stack;
    generator.uc_link = &main_context;
    makecontext(&generator, (void (*)(void))numbers, 8, 1, 2, 3, 4, 5, 6, 7, stack);
    int first = next();
    printf("contexts %d %d\n", first, next());
}
void part(int argc, char **argv) {
    char text[8], line[32];
    strcpy(text, argv[0]);
    int n = snprintf(line, argc + 20, "%s %d", text, open(argv[0], O_RDONLY));
    printf("from %s, %d characters, release %c\n", line, n, *gnu_get_libc_version());
    void *calls[16];
    int depth = backtrace(calls, 16);
    char **names = backtrace_symbols(calls, depth);
    fprintf(stderr, "calls %d %c\n", depth > 2, names[depth - 1][0]);
    free(names);
    printf("device %u, trim %d\n", minor(makedev(8, 17)), malloc_trim(0));
    struct pollfd fds[2] = {{.fd = 1}};
    printf("poll %d, last %c\n", poll(fds, argc, 0),
           *(char *)rawmemchr(argv[0], 'g'));
    printf("fcntl %d\n", fcntl(1, F_GETFL) & O_ACCMODE);
    contexts();
    error(0, ENOENT, "error %d", 1);
    fflush(stdout);
    strcat(text, argc > 1 ? argv[1] : "");
    printf("all of it: %s\n", text);
}
