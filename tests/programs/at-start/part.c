#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <execinfo.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#ifndef __GLIBC__
#error "this machine has no headers of glibc"
#endif
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
    fflush(stdout);
    strcat(text, argc > 1 ? argv[1] : "");
    printf("all of it: %s\n", text);
}
