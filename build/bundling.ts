/** How each executable is bundled: what build.ts compiles with, and what a test asks the bundler about. */

/**
 * Each module that is reached by `import()` is a chunk of its own with what only it needs, loaded on first use: of a cloud that the config
 * does not name, nothing is in memory. Nothing is read from the working directory at start: no .env, bunfig.toml, tsconfig.json, package.json.
 */
const FLAGS = [
  "--compile",
  "--splitting",
  "--minify",
  "--bytecode",
  "--format=esm",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-tsconfig",
  "--no-compile-autoload-package-json",
];

/** The words after `bun`, to compile `entry` into `to`. `architecture`: x64 or arm64. */
export function bundling(entry: string, to: string, architecture: string, version: string): string[] {
  return [
    "build",
    ...FLAGS,
    `--target=bun-linux-${architecture}`,
    `--define=REEVE_VERSION=${JSON.stringify(version)}`,
    `--outfile=${to}`,
    entry,
  ];
}
