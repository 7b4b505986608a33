#ifndef _UNISTD_H
#define _UNISTD_H

#include <features.h>
#include <stddef.h>
#include <sys/types.h>

#define STDIN_FILENO 0
#define STDOUT_FILENO 1
#define STDERR_FILENO 2

#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2

__BEGIN_DECLS
extern char **environ;
ssize_t read(int, void *, size_t);
ssize_t write(int, const void *, size_t);
int close(int);
off_t lseek(int, off_t, int);
int fsync(int);
int unlink(const char *);
int rmdir(const char *);
int isatty(int);
pid_t getpid(void);
unsigned sleep(unsigned);
__NORETURN void _exit(int);
__END_DECLS

#endif
