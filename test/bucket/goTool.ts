import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { programPath, requireDebian } from "../tools.ts";

const GO = "/usr/local/go/bin/go";

/** The path of a program of test/bucket/go/go.mod, built once from the Go proxy; the checksums of all its modules are in go.sum. */
export function goTool(module: string): string {
  const program = join(ROOT, ".cache", `go-${module.split("/").at(-1)}`);
  if (!existsSync(GO)) requireDebian({ go: "golang-go" });
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  const built = spawnSync(existsSync(GO) ? GO : (programPath("go") ?? "go"), ["build", "-o", program, module], {
    cwd: join(import.meta.dirname, "go"),
    encoding: "utf8",
    timeout: 800_000,
    env: { ...process.env, GOTOOLCHAIN: "local", CGO_ENABLED: "0" },
  });
  if (built.status !== 0) throw new Error(`${module} does not build: ${built.error ?? built.stderr}`);
  return program;
}
