#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *nothing(void *argument) { return 0; }
static int spoken;
static void *speaks(void *argument) { spoken = 1; return 0; }
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
    if (!strcmp(argv[1], "input")) {
        struct sigaction action = { .sa_handler = alarmed };
        char byte;
        sigaction(SIGALRM, &action, 0);
        pthread_create(&thread, 0, speaks, 0);
        alarm(1);
        int got = read(0, &byte, 1);
        printf("read %d %d, meanwhile %d\n", got, errno == EINTR, spoken);
    }
    if (!strcmp(argv[1], "stack")) {
        pthread_attr_t attributes;
        void *lowest = 0;
        size_t size = 0;
        pthread_getattr_np(pthread_self(), &attributes);
        pthread_attr_getstack(&attributes, &lowest, &size);
        char here, *start = lowest;
        *(volatile char *)start = 1;
        printf("on its stack %d\n", start < &here && &here < start + size);
    }
    return 9;
}
