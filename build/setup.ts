/**
 * Run first by every script of package.json: a fresh clone has no node_modules, and an older one may have the wrong ones.
 * The lockfile is the only source; nothing is resolved anew.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail, ROOT, run } from "./command.ts";

const BUN_VERSION = "1.4.5";
const stamp = join(ROOT, "node_modules", ".reeve-setup");

/** The digest of what decides which packages are installed. */
function wanted(): string {
  const hash = createHash("sha256");
  for (const name of ["package.json", "bun.lock"]) hash.update(readFileSync(join(ROOT, name)));
  return hash.digest("hex");
}

function setup(): void {
  const version = process.versions["bun"];
  if (version !== BUN_VERSION) {
    fail(
      `Cannot go on: this is Bun ${version ?? "(none)"}, and what is built is bound to ${BUN_VERSION}.`,
      `npx -y bun@${BUN_VERSION} run …`,
    );
  }
  const digest = wanted();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  process.stderr.write("setup: installing the packages that bun.lock names into node_modules\n");
  if (!run([process.execPath, "install", "--frozen-lockfile"])) {
    fail(
      "Cannot install what bun.lock names.",
      "See above; an npm registry must be reachable, and package.json and bun.lock must agree.",
    );
  }
  // Written last: if we stop before this line, the next start installs again.
  writeFileSync(stamp, digest);
}

setup();
