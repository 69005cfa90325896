/** `bun build/compile.ts ENTRY OUT x64|arm64 VERSION [--metafile=FILE]`: one executable. In a process of its own, whose environment build.ts decides. */
import { writeFileSync } from "node:fs";
import { googlePlugin } from "./prune-descriptors.ts";

const [entry = "", outfile = "", architecture = "", version = "", more = ""] = process.argv.slice(2);
const metafile = more.startsWith("--metafile=") ? more.slice("--metafile=".length) : null;

const made = await Bun.build({
  entrypoints: [entry],
  minify: true,
  bytecode: true,
  format: "esm",
  // Each module that is reached by `import()` is a chunk of its own with what only it needs, loaded on first use: of a cloud that the config
  // does not name, nothing is in memory.
  splitting: true,
  metafile: metafile !== null,
  define: { REEVE_VERSION: JSON.stringify(version) },
  plugins: [googlePlugin],
  compile: {
    target: `bun-linux-${architecture}` as Bun.Build.CompileTarget,
    outfile,
    // Nothing is read from the working directory when it starts.
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
  },
  throw: false,
});
for (const message of made.logs) console.error(String(message));
if (metafile !== null && made.success) writeFileSync(metafile, JSON.stringify(made.metafile));
process.exit(made.success ? 0 : 1);
