#include <execinfo.h>
#include <gnu/libc-version.h>
#include <sys/cdefs.h>
#include <stdio.h>
template <typename T> struct Counted {
    static int living;
    Counted() { living++; }
    ~Counted() { living--; }
};
template <typename T> int Counted<T>::living;
__BEGIN_DECLS
int made(void) __THROW;
__END_DECLS
struct Shape : Counted<Shape> { virtual ~Shape() {} virtual int area() const = 0; };
struct Square : Shape {
    int side;
    Square(int side = 1) : side(side) {}
    int area() const override { return side * side; }
};
static Square global(3);
struct Last { ~Last() { printf("destructor, %d living\n", Shape::living); } };
static Last last;
// One for each thread that uses it.
struct Own {
    int number = 3;
    ~Own() { printf("end of a thread\n"); }
};
static thread_local Own own;
extern "C" int use_own(void) { return own.number; }
struct alignas(1024) Large { char bytes[1024]; };
// Its table has the function that is called for one that is deleted.
struct Interface { virtual int call() = delete; };
static Interface interface;
extern "C" void *interface_of(void) { return &interface; }
extern "C" int aligned_objects(void) {
    Large *one = new Large, *many = new Large[3];
    int rest = ((unsigned long)one | (unsigned long)many) % 1024;
    delete one;
    delete[] many;
    return rest;
}
extern "C" int made(void) {
    Shape *one = new Square(4);
    Square *many = new Square[5];
    auto sum = [&](int n) { return one->area() + many[4].area() + global.area() + n; };
    static int calls;
    int all = sum(++calls) + 100 * Shape::living;
    delete one;
    delete[] many;
    return all;
}
