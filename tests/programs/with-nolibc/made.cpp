#include <stdio.h>
struct Base { virtual ~Base() {} virtual int get() const = 0; };
struct Made : Base { int n; Made(int n) : n(n) {} int get() const override { return n; } };
static Made global(5);
struct Last { ~Last() { printf("destructor\n"); } };
static Last last;
extern "C" int made(void) {
    Base *base = new Made(global.get() + 1);
    int *list = new int[4]();
    int n = base->get() + list[3];
    delete base;
    delete[] list;
    return n;
}
