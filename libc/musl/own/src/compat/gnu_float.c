/* glibc has the classification of numbers as functions. */
#define _GNU_SOURCE
#include <math.h>

int __isnan(double x)
{
	return isnan(x);
}

int __isnanf(float x)
{
	return isnan(x);
}

int __isinf(double x)
{
	return isinf(x) ? (signbit(x) ? -1 : 1) : 0;
}

int __isinff(float x)
{
	return isinf(x) ? (signbit(x) ? -1 : 1) : 0;
}

int __finite(double x)
{
	return isfinite(x);
}

int __finitef(float x)
{
	return isfinite(x);
}
