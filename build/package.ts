/**
 * `bun run package [--native-only] [--out=FOLDER]`: Debian packages and RPMs of both executables, for this machine's processor and the other one, in dist/,
 * and dist/PACKAGES.SHA256. The executables are those that lie in dist/. By dpkg-deb and rpmbuild of the same versions the bytes are the same
 * wherever and whenever they are made.
 */
import "reflect-metadata";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import { fail, ROOT } from "./command.ts";
import { agentContent, controlContent } from "./package/content.ts";
import { makeDeb } from "./package/deb.ts";
import { makeRpm } from "./package/rpm.ts";

const { programOf } = await import("../agent/main.ts");
const { programOf: controlOf } = await import("../control/main.ts");

const BOTH = ["x64", "arm64"] as const;

function pack(nativeOnly: boolean, out: string): void {
  const here: "x64" | "arm64" = arch() === "arm64" ? "arm64" : "x64";
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  const dist = join(ROOT, "dist");
  const scratch = join(out, `.packing-${process.pid}`);
  mkdirSync(scratch, { recursive: true });
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
  const made: string[] = [];
  for (const content of [agentContent(programOf(), version), controlContent(controlOf(), version)]) {
    for (const architecture of nativeOnly ? [here] : BOTH) {
      const executable = join(dist, architecture === here ? content.name : `${content.name}-linux-${architecture}`);
      if (!existsSync(executable)) fail(`Cannot pack ${executable}: it is not there.`, "bun run build");
      made.push(makeDeb(content, version, architecture, executable, scratch, out));
      made.push(makeRpm(content, version, architecture, executable, scratch, out));
    }
  }
  const sums = made.map((name) => `${sha256(join(out, name))}  ${name}\n`).join("");
  // Whole or not at all: who looks meanwhile sees the one before.
  writeFileSync(join(scratch, "PACKAGES.SHA256"), sums);
  renameSync(join(scratch, "PACKAGES.SHA256"), join(out, "PACKAGES.SHA256"));
  process.stdout.write(sums);
}

function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

const out = process.argv.find((word) => word.startsWith("--out="))?.slice("--out=".length);
pack(process.argv.includes("--native-only"), out ?? join(ROOT, "dist"));
