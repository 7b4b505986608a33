/* The command line of Lua: what the manual of Lua 5.4 says in section 7, over the library's public interface.
 *
 *     lua [-e STATEMENT] [-l MODULE] [-i] [-v] [SCRIPT [ARGUMENTS]]
 *
 * Without a script the program is read from standard input; with -i statements are read and run
 * one by one, with a prompt. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

#define NAME "lua"
#define LINE 512

static void message(const char *text)
{
	fprintf(stderr, NAME ": %s\n", text);
	fflush(stderr);
}

static void usage(const char *option)
{
	fprintf(stderr,
		NAME ": unrecognized or incomplete option '%s'\n"
		"usage: " NAME " [-e STATEMENT] [-l MODULE] [-i] [-v] [SCRIPT [ARGUMENTS]]\n",
		option);
}

/* What an error becomes: a text with the calls that led to it. */
static int traceback(lua_State *L)
{
	const char *text = lua_tostring(L, 1);
	if (!text) {
		if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING)
			return 1;
		text = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
	}
	luaL_traceback(L, L, text, 1);
	return 1;
}

static int report(lua_State *L, int status)
{
	if (status != LUA_OK) {
		const char *text = lua_tostring(L, -1);
		message(text ? text : "(no error message)");
		lua_pop(L, 1);
	}
	return status;
}

/* Calls the function below its arguments. */
static int call(lua_State *L, int arguments, int results)
{
	int base = lua_gettop(L) - arguments;
	lua_pushcfunction(L, traceback);
	lua_insert(L, base);
	int status = lua_pcall(L, arguments, results, base);
	lua_remove(L, base);
	return status;
}

static int run_text(lua_State *L, const char *text, const char *name)
{
	int status = luaL_loadbuffer(L, text, strlen(text), name);
	return report(L, status == LUA_OK ? call(L, 0, 0) : status);
}

static int load_module(lua_State *L, const char *name)
{
	lua_getglobal(L, "require");
	lua_pushstring(L, name);
	int status = call(L, 1, 1);
	if (status == LUA_OK)
		lua_setglobal(L, name);
	return report(L, status);
}

/* The global table `arg`: the script is number 0; without one it is the program. */
static void make_arguments(lua_State *L, int argc, char **argv, int script)
{
	if (script == argc)
		script = 0;
	lua_createtable(L, argc, script + 1);
	for (int i = 0; i < argc; i++) {
		lua_pushstring(L, argv[i]);
		lua_rawseti(L, -2, i - script);
	}
	lua_setglobal(L, "arg");
}

static int run_script(lua_State *L, int argc, char **argv, int script)
{
	const char *name = script < argc && strcmp(argv[script], "-") ? argv[script] : NULL;
	int status = luaL_loadfile(L, name);
	if (status == LUA_OK) {
		int arguments = 0;
		luaL_checkstack(L, argc, "too many arguments");
		for (int i = script + 1; i < argc; i++, arguments++)
			lua_pushstring(L, argv[i]);
		status = call(L, arguments, 0);
	}
	return report(L, status);
}

/* Pushes a line from standard input; 0 at its end. */
static int read_line(lua_State *L, const char *prompt)
{
	fputs(prompt, stdout);
	fflush(stdout);
	luaL_Buffer line;
	luaL_buffinit(L, &line);
	for (;;) {
		char *part = luaL_prepbuffsize(&line, LINE);
		if (!fgets(part, LINE, stdin)) {
			luaL_pushresult(&line);
			if (lua_rawlen(L, -1))
				return 1;
			lua_pop(L, 1);
			return 0;
		}
		size_t length = strlen(part);
		int whole = length && part[length - 1] == '\n';
		luaL_addsize(&line, length - whole);
		if (whole) {
			luaL_pushresult(&line);
			return 1;
		}
	}
}

/* Whether a statement goes on in the next line: the parser stopped at the end. */
static int is_incomplete(lua_State *L, int status)
{
	size_t length;
	const char *text = lua_tolstring(L, -1, &length);
	const char *end = "<eof>";
	return status == LUA_ERRSYNTAX && length >= strlen(end)
		&& !strcmp(text + length - strlen(end), end);
}

/* Reads a statement, or an expression whose value is to be printed, as a function; -1 at the end. */
static int read_statement(lua_State *L)
{
	if (!read_line(L, "> "))
		return -1;
	const char *expression = lua_pushfstring(L, "return %s", lua_tostring(L, -1));
	if (luaL_loadbuffer(L, expression, strlen(expression), "=stdin") == LUA_OK)
		return LUA_OK;
	lua_pop(L, 2);
	for (;;) {
		size_t length;
		const char *text = lua_tolstring(L, -1, &length);
		int status = luaL_loadbuffer(L, text, length, "=stdin");
		if (!is_incomplete(L, status))
			return status;
		lua_pop(L, 1);
		if (!read_line(L, ">> "))
			return -1;
		lua_pushliteral(L, "\n");
		lua_insert(L, -2);
		lua_concat(L, 3);
	}
}

static void converse(lua_State *L)
{
	int status;
	while (lua_settop(L, 0), (status = read_statement(L)) != -1) {
		/* The function is on top, what it was made of below. */
		lua_insert(L, 1);
		lua_settop(L, 1);
		if (status == LUA_OK)
			status = call(L, 0, LUA_MULTRET);
		if (report(L, status) == LUA_OK && lua_gettop(L) > 0) {
			luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
			lua_getglobal(L, "print");
			lua_insert(L, 1);
			report(L, lua_pcall(L, lua_gettop(L) - 1, 0, 0));
		}
	}
	putchar('\n');
}

static int protected_main(lua_State *L)
{
	int argc = (int)lua_tointeger(L, 1);
	char **argv = lua_touserdata(L, 2);
	int script = 1, interactive = 0, version = 0, statements = 0;
	for (; script < argc && argv[script][0] == '-' && argv[script][1]; script++) {
		const char *option = argv[script];
		if (!strcmp(option, "-i")) {
			interactive = 1;
		} else if (!strcmp(option, "-v")) {
			version = 1;
		} else if ((option[1] == 'e' || option[1] == 'l') && (option[2] || argv[script + 1])) {
			statements = 1;
			script += !option[2];
		} else if (!strcmp(option, "--")) {
			script++;
			break;
		} else {
			usage(option);
			return 0;
		}
	}
	luaL_openlibs(L);
	make_arguments(L, argc, argv, script);
	if (version || interactive) {
		puts(LUA_COPYRIGHT);
		fflush(stdout);
	}
	for (int i = 1; i < script; i++) {
		char kind = argv[i][1];
		if (kind != 'e' && kind != 'l')
			continue;
		const char *text = argv[i][2] ? argv[i] + 2 : argv[++i];
		int status = kind == 'e' ? run_text(L, text, "=(command line)") : load_module(L, text);
		if (status != LUA_OK)
			return 0;
	}
	if (script < argc || !(statements || version || interactive))
		if (run_script(L, argc, argv, script) != LUA_OK)
			return 0;
	if (interactive)
		converse(L);
	lua_pushboolean(L, 1);
	return 1;
}

int main(int argc, char **argv)
{
	lua_State *L = luaL_newstate();
	if (!L) {
		message("there is no memory");
		return EXIT_FAILURE;
	}
	lua_pushcfunction(L, protected_main);
	lua_pushinteger(L, argc);
	lua_pushlightuserdata(L, argv);
	int status = lua_pcall(L, 2, 1, 0);
	int well = status == LUA_OK && lua_toboolean(L, -1);
	report(L, status);
	lua_close(L);
	return well ? EXIT_SUCCESS : EXIT_FAILURE;
}
