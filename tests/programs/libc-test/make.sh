#!/bin/sh
# Compiles each test of libc-test into one object that shows nothing but its `main`, under another
# name, and a list of these. Called by `oxk build` (key `make` of the manifest): the compiler is in CC.
set -eu
source=$(cat source)
# What another compiler made of other sources is not used again.
if [ "$CC $source" != "$(cat objects/of 2> /dev/null)" ]; then
	rm -rf objects
	mkdir objects
	echo "$CC $source" > objects/of
fi
$CC -D_GNU_SOURCE -I"$source/src/common" -c "$source/src/common/print.c" -o objects/common-print.o
for common in fdfill memfill path rand setrlim utf8 vmfill mtest; do
	$CC -D_GNU_SOURCE -I"$source/src/common" -c "$source/src/common/$common.c" \
		-o "objects/common-$common.o"
done
: > names
for test in "$source"/src/functional/*.c "$source"/src/regression/*.c "$source"/src/math/*.c; do
	name=$(basename "$(dirname "$test")")-$(basename "$test" .c)
	symbol=test_$(echo "$name" | tr -c 'a-zA-Z0-9\n' _)
	# Parts of tests that are shared objects have no main, and there is no dynamic linker.
	case $name in
	*_dso | functional-dlopen | functional-tls_align | functional-tls_*dlopen*) continue ;;
	esac
	object=objects/$name.o
	if [ ! "$object" -nt "$test" ]; then
		if ! $CC -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -std=c99 -fno-builtin -frounding-math -w \
			-I"$source/src/common" -Dmain="$symbol" -c "$test" -o test.o 2> "objects/$name.log"
		then
			echo "$name cannot be compiled" >&2
			continue
		fi
		objcopy --keep-global-symbol="$symbol" test.o "$object"
	fi
	echo "$name $symbol" >> names
done
{
	while read -r name symbol; do echo "int $symbol(int, char **);"; done < names
	echo "const struct { const char *name; int (*main)(int, char **); } tests[] = {"
	while read -r name symbol; do echo "	{ \"$name\", $symbol },"; done < names
	echo "	{ 0, 0 },"
	echo "};"
} > table.c
$CC -c table.c -o objects/table.o
