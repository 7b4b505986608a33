#define _GNU_SOURCE
#include <signal.h>
#include "syscall.h"

int tgkill(pid_t process, pid_t thread, int signal)
{
	return syscall(SYS_tgkill, process, thread, signal);
}
