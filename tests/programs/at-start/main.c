#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <link.h>
static int order;
_Thread_local int local = 7;
static _Thread_local _Alignas(64) char aligned[64];
// Takes no place in the image's memory, only in that of each thread.
static _Thread_local char large[20000];
__attribute__((constructor)) static void first(void) { order++; }
extern int made(void), aligned_objects(void), use_own(void);
extern int headers_of_glibc(void), containers(int);
extern void *interface_of(void);
extern void part(int, char **);
static int headers(struct dl_phdr_info *info, size_t size, void *data) {
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS) return (int)info->dlpi_phdr[i].p_memsz;
    return -1;
}
static void bye(void) { puts("bye"); }
int main(int argc, char **argv) {
    printf("constructors %d %d\n", order, made());
    char *volatile place = aligned;
    place[63] = 1;
    char *volatile end = large + sizeof large - 1;
    *end += 1;
    printf("local %d aligned %d\n", local, (int)((unsigned long)place % 64));
    printf("environment %s %s\n", getenv("A"), getenv("B") ? getenv("B") : "none");
    printf("auxv %ld %d\n", getauxval(AT_PAGESZ), getauxval(AT_RANDOM) != 0);
    printf("tls %d\n", dl_iterate_phdr(headers, 0) >= 20068 && *end == 1);
    printf("by number %ld %ld\n", syscall(SYS_getpid), syscall(SYS_gettid));
    errno = 0;
    long r = syscall(SYS_io_uring_setup, 1, 0);
    printf("missing %ld %s\n", r, strerror(errno));
    char *volatile big = malloc((size_t)1 << 60);
    printf("too much %d %s\n", big == 0, strerror(errno));
    printf("own %d %d, aligned %d\n", use_own(), interface_of() != 0, aligned_objects());
    printf("headers %d\n", headers_of_glibc());
    printf("characters %d\n", containers(argc > 2 ? 20 : 19));
    part(argc, argv);
    atexit(bye);
    return argc == 2 ? 40 : 41;
}
