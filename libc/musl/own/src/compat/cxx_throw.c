/* What the templates of libstdc++ call to throw. Nothing can be thrown: the program ends, with the name of the exception and
 * what it would have said. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "features.h"

static void put(const char *text)
{
	write(2, text, strlen(text));
}

static _Noreturn void end(const char *exception, const char *why)
{
	put(exception);
	if (why) {
		put(": ");
		put(why);
	}
	put("\n");
	abort();
}

/* void std::__throw_NAME(const char *); the number is the length of the name. */
#define SAYS(mangled, exception) \
	weak _Noreturn void mangled(const char *why) { end("std::" exception, why); }
#define SAYS_NOTHING(mangled, exception) \
	weak _Noreturn void mangled(void) { end("std::" exception, 0); }
#define HAS_NUMBER(mangled, exception) \
	weak _Noreturn void mangled(int number) { end("std::" exception, strerror(number)); }

SAYS(_ZSt19__throw_logic_errorPKc, "logic_error")
SAYS(_ZSt20__throw_domain_errorPKc, "domain_error")
SAYS(_ZSt24__throw_invalid_argumentPKc, "invalid_argument")
SAYS(_ZSt20__throw_length_errorPKc, "length_error")
SAYS(_ZSt20__throw_out_of_rangePKc, "out_of_range")
SAYS(_ZSt21__throw_runtime_errorPKc, "runtime_error")
SAYS(_ZSt19__throw_range_errorPKc, "range_error")
SAYS(_ZSt22__throw_overflow_errorPKc, "overflow_error")
SAYS(_ZSt23__throw_underflow_errorPKc, "underflow_error")
SAYS_NOTHING(_ZSt17__throw_bad_allocv, "bad_alloc")
SAYS_NOTHING(_ZSt28__throw_bad_array_new_lengthv, "bad_array_new_length")
SAYS_NOTHING(_ZSt16__throw_bad_castv, "bad_cast")
SAYS_NOTHING(_ZSt25__throw_bad_function_callv, "bad_function_call")
HAS_NUMBER(_ZSt20__throw_system_errori, "system_error")

/* void std::__throw_out_of_range_fmt(const char *, ...) */
weak _Noreturn void _ZSt24__throw_out_of_range_fmtPKcz(const char *format, ...)
{
	char why[256];
	va_list list;
	va_start(list, format);
	vsnprintf(why, sizeof why, format, list);
	end("std::out_of_range", why);
}

/* void std::__glibcxx_assert_fail(const char *, int, const char *, const char *) */
weak _Noreturn void _ZSt21__glibcxx_assert_failPKciS0_S0_(const char *file, int line, const char *function,
	const char *condition)
{
	dprintf(2, "%s:%d: %s: Assertion '%s' failed.\n", file, line, function, condition);
	abort();
}

/* void std::terminate() */
weak _Noreturn void _ZSt9terminatev(void)
{
	end("std::terminate", 0);
}

/* bool std::_Sp_make_shared_tag::_S_eq(const std::type_info &): there are no types at run time. */
weak _Bool _ZNSt19_Sp_make_shared_tag5_S_eqERKSt9type_info(const void *type)
{
	return 0;
}

/* const std::nothrow_t std::nothrow */
weak const char _ZSt7nothrow = 0;
