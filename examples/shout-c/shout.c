/* A task without the SDK: a plain WASI command. The payload is on standard input, the reply goes to standard output,
   log lines to standard error; exit code 0 is success. Any language that compiles to WASI does. */
#include <ctype.h>
#include <stdio.h>

int main(void) {
    char line[4096];
    size_t count, total = 0;
    while ((count = fread(line, 1, sizeof line, stdin)) > 0) {
        for (size_t i = 0; i < count; i++) {
            line[i] = (char)toupper((unsigned char)line[i]);
        }
        if (fwrite(line, 1, count, stdout) != count) {
            perror("cannot write the reply");
            return 1;
        }
        total += count;
    }
    if (ferror(stdin) || fflush(stdout) != 0) {
        perror("cannot read the payload or write the reply");
        return 1;
    }
    fprintf(stderr, "shouted %zu bytes\n", total);
    return 0;
}
