import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";

/** Rust programs as cargo-auditable builds them. Its version is pinned: another one is another tool to look at. */
const AUDITABLE = "0.7.7";

function cargo(args: readonly string[], cwd: string, path = ""): string {
  const program = Bun.which("cargo") ?? join(homedir(), ".cargo/bin/cargo");
  if (!existsSync(program)) throw new Error("cargo is not here: the tests build a Rust program by it (rust-lang.org)");
  const env = { ...process.env, PATH: `${path}:${join(program, "..")}:${process.env["PATH"]}` };
  const done = spawnSync(program, [...args], { cwd, env, encoding: "utf8", timeout: 500_000 });
  if (done.status !== 0) throw new Error(`cargo ${args.join(" ")}: ${done.error ?? done.stderr}`);
  return done.stdout;
}

/** The folder with cargo-auditable in it, built once under `.cache/`. The file `made` is written last: without it the folder is made anew. */
function auditable(): string {
  const folder = join(ROOT, ".cache", `cargo-auditable-${AUDITABLE}`);
  if (existsSync(join(folder, "made"))) return join(folder, "bin");
  console.log("building cargo-auditable under .cache/ from crates.io, once per machine: about two minutes");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cargo(["install", "--quiet", "--locked", "--root", folder, `cargo-auditable@${AUDITABLE}`], folder);
  writeFileSync(join(folder, "made"), "");
  return join(folder, "bin");
}

/** A program of four crates: one of crates.io, one that another one brings, one that only its building needs. */
const CRATES: Readonly<Record<string, string>> = {
  program: `left = { path = "../left" }\nitoa = "=1.0.15"\n[build-dependencies]\nmaker = { path = "../maker" }\n`,
  left: `deep = { path = "../deep" }\n`,
  deep: "",
  maker: "",
};
const SOURCE: Readonly<Record<string, string>> = {
  program: `fn main() { println!("{}", left::word().to_string() + itoa::Buffer::new().format(1)); }\n`,
  left: "pub fn word() -> &'static str { deep::word() }\n",
  deep: 'pub fn word() -> &\'static str { "deep" }\n',
  maker: "pub fn make() {}\n",
};

/** Builds it to `out` by `cargo auditable build`. Returns what cargo itself says is in it: `NAME vVERSION` each, what only builds it apart. */
export function rustProgram(out: string): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), "reeve-rust-"));
  try {
    for (const [name, needs] of Object.entries(CRATES)) {
      mkdirSync(join(folder, name, "src"), { recursive: true });
      const head = `[package]\nname = "${name}"\nversion = "0.${name.length}.1"\nedition = "2021"\n[dependencies]\n`;
      writeFileSync(join(folder, name, "Cargo.toml"), head + needs);
      writeFileSync(join(folder, name, "src", name === "program" ? "main.rs" : "lib.rs"), SOURCE[name] ?? "");
    }
    writeFileSync(join(folder, "program/build.rs"), "fn main() { maker::make(); }\n");
    const cwd = join(folder, "program");
    cargo(["auditable", "build", "--quiet", "--target-dir", join(folder, "target")], cwd, auditable());
    copyFileSync(join(folder, "target/debug/program"), out);
    return cargo(["tree", "--quiet", "--edges", "normal", "--prefix", "none", "--format", "{p}"], cwd)
      .split("\n")
      .filter((line) => line !== "");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
