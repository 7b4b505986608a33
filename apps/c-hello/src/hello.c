/* The smallest program in C that does something: text, memory, arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	printf("Hello, world! This is C, and %d plus %d is %g.\n", 1, 2, 1.0 + 2);

	char *text = malloc(100);
	if (!text) {
		perror("malloc");
		return 1;
	}
	strcpy(text, "arguments:");
	for (int i = 1; i < argc && strlen(text) + strlen(argv[i]) + 2 < 100; i++) {
		strcat(text, " ");
		strcat(text, argv[i]);
	}
	puts(text);
	free(text);
	return 0;
}
