#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *nothing(void *argument) { return 0; }
static void alarmed(int signal) { puts("alarmed"); }
int main(int argc, char **argv) {
    pthread_t thread;
    setvbuf(stdout, 0, _IOLBF, 0);
    printf("create %d\n", pthread_create(&thread, 0, nothing, 0) == EAGAIN);
    if (!strcmp(argv[1], "term")) raise(SIGTERM);
    if (!strcmp(argv[1], "abort")) abort();
    if (!strcmp(argv[1], "alarm")) {
        signal(SIGALRM, alarmed);
        alarm(1);
        printf("pause %d\n", pause());
        signal(SIGALRM, SIG_DFL);
        alarm(1);
        pause();
    }
    return 9;
}
