#include <stdio.h>
template <typename T> struct Counted {
    static int living;
    Counted() { living++; }
    ~Counted() { living--; }
};
template <typename T> int Counted<T>::living;
struct Shape : Counted<Shape> { virtual ~Shape() {} virtual int area() const = 0; };
struct Square : Shape {
    int side;
    Square(int side = 1) : side(side) {}
    int area() const override { return side * side; }
};
static Square global(3);
struct Last { ~Last() { printf("destructor, %d living\n", Shape::living); } };
static Last last;
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
