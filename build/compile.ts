/** `bun build/compile.ts ENTRY OUT x64|arm64 VERSION`: one executable. In a process of its own, whose environment build.ts decides. */
import { googlePlugin } from "./prune-descriptors.ts";

const [entry = "", outfile = "", architecture = "", version = ""] = process.argv.slice(2);

const made = await Bun.build({
  entrypoints: [entry],
  minify: true,
  bytecode: true,
  format: "esm",
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
process.exit(made.success ? 0 : 1);
