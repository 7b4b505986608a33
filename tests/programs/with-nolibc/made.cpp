#include <stdio.h>
struct Base { virtual ~Base() {} virtual int get() const = 0; };
struct Made : Base { int n; Made(int n) : n(n) {} int get() const override { return n; } };
static Made global(5);
static int ended;
extern "C" void ends(void) { ended++; }
struct Last { ~Last() { printf("destructor, %d functions before\n", ended); } };
static Last last;
extern "C" int made(void) {
    Base *base = new Made(global.get() + 1);
    int *list = new int[4]();
    int n = base->get() + list[3];
    struct alignas(256) Large { char bytes[256]; };
    Large *large = new Large, *two = new Large[2];
    n += (unsigned long)large % 256 + (unsigned long)two % 256;
    delete large;
    delete[] two;
    delete base;
    delete[] list;
    return n;
}
