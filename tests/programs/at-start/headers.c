// Headers that glibc has and musl has not.
#include <error.h>
#include <execinfo.h>
#include <gnu/libc-version.h>
#include <stdlib.h>
#include <sys/cdefs.h>
#include <unistd.h>
__BEGIN_DECLS
int headers_of_glibc(void) __THROW __wur;
__END_DECLS
int headers_of_glibc(void) {
    void *calls[16];
    int depth = backtrace(calls, 16);
    char **names = backtrace_symbols(calls, depth);
    int named = names && names[0][0] == '[';
    free(names);
    backtrace_symbols_fd(calls, 1, STDERR_FILENO);
    return depth > 1 && named && gnu_get_libc_version()[0] == '2' && gnu_get_libc_release()[0] &&
           error_message_count == 0 && !error_print_progname;
}
