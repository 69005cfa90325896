/**
 * Where the executable begins. What stands beneath the X.509 library wants this before anything of itself is evaluated, in whatever chunk the
 * bundler puts it: so it comes first, and everything else by `import()`.
 */
import "reflect-metadata";

void import("./main.ts").then(({ main }) => main());
