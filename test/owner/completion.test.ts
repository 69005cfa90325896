import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CONTROL, REEVE, ran } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";

requireDebian({ zsh: "zsh", fish: "fish" });

let folder: string;
const script = (shell: string, program: string): string => join(folder, `${program}.${shell}`);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "reeve-completion-"));
  for (const [program, path] of [
    ["reeve", REEVE],
    ["reeve-control", CONTROL],
  ] as const)
    for (const shell of ["bash", "zsh", "fish"]) {
      const made = ran(path, "completion", shell);
      if (made.code !== 0) throw new Error(made.stderr);
      writeFileSync(script(shell, program), made.stdout);
    }
  mkdirSync(join(folder, "work/a folder"), { recursive: true });
  writeFileSync(join(folder, "work/a policy.yaml"), "");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Complete = (program: string, ...words: string[]) => string[];
const lines = (text: string): string[] => text.split("\n").filter(Boolean).toSorted();

/** What bash's programmable completion is handed for a line whose last word is being written. */
const bash: Complete = (program, ...words) => {
  const name = `_${program.replace("-", "_")}`;
  const quoted = [program, ...words].map((word) => `'${word}'`).join(" ");
  const done = ran(
    "bash",
    "-c",
    `cd ${folder}/work; source ${script("bash", program)}; complete -p ${program} >/dev/null || exit 1
COMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; ${name}; printf '%s\\n' "\${COMPREPLY[@]}"`,
  );
  if (done.code !== 0 || done.stderr !== "") throw new Error(done.stderr);
  return lines(done.stdout);
};

const fish: Complete = (program, ...words) => {
  const line = [program, ...words].map((word) => word.replaceAll(" ", "\\ ")).join(" ");
  const done = ran(
    "fish",
    "--no-config",
    "-c",
    `cd ${folder}/work; source ${script("fish", program)}; complete -C '${line}'`,
  );
  if (done.code !== 0 || done.stderr !== "") throw new Error(done.stderr);
  return lines(done.stdout.replace(/\t.*$/gm, ""));
};

/** A zsh in a terminal of its own: the line is typed, then Tab, and compsys' own matches are written to a file. */
const zsh: Complete = (program, ...words) => {
  const line = [program, ...words].map((word) => word.replaceAll(" ", "\\\\ ")).join(" ");
  const functions = join(folder, `functions-${program}`);
  mkdirSync(functions, { recursive: true });
  ran("cp", script("zsh", program), join(functions, `_${program}`));
  const out = join(folder, "matches");
  rmSync(out, { force: true });
  const setup = join(folder, "setup.zsh");
  writeFileSync(
    setup,
    `cd ${folder}/work
PS1= PS2=
fpath=(${functions} $fpath)
autoload -Uz compinit
compinit -u -d ${folder}/dump-${program}
zstyle ':completion:*' list-prompt ''
zstyle ':completion:*' select-prompt ''
# Each match as compsys adds it, instead of a list on a screen.
compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return $?; fi
  local -a found
  builtin compadd -A found "$@"
  print -rl -- $found >> ${out}
  builtin compadd "$@"
}
done-widget() { zle complete-word; print ended >> ${out}; }
zle -N done-widget
bindkey '^I' done-widget
print READY
`,
  );
  const driver = `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'source ${setup}'
while zpty -r z line; do [[ $line == *READY* ]] && break; done
zpty -w -n z '${line}'$'\\t'
for ((i = 0; i < 200; i++)); do
  zpty -r -t z line
  [[ -f ${out} ]] && grep -q '^ended$' ${out} && break
  sleep 0.05
done
zpty -d z`;
  const done = ran("zsh", "-f", "-c", driver);
  if (done.code !== 0) throw new Error(done.stderr);
  const found = ran("cat", out);
  if (!found.stdout.includes("ended\n")) throw new Error(`zsh never ended: ${done.stdout}${done.stderr}`);
  return [...new Set(lines(found.stdout.replace(/^ended$/m, "")))];
};

describe.each([
  ["bash", bash],
  ["zsh", zsh],
  ["fish", fish],
] as const)("completion of both executables by a real %s", (_, complete) => {
  test("commands below what is written, and no other", () => {
    expect(complete("reeve", "po")).toEqual(["policy"]);
    expect(complete("reeve", "policy", "")).toContain("check");
    expect(complete("reeve", "policy", "")).not.toContain("status");
    expect(complete("reeve", "audit", "sh")).toEqual(["show"]);
    expect(complete("reeve-control", "fl")).toEqual(["fleet"]);
    expect(complete("reeve-control", "fleet", "plan", "")).toEqual([
      "deploy",
      "issue-certificate",
      "scale",
      "update-dns",
    ]);
  }, 60_000);

  test("the flags of a command, and of those above it", () => {
    expect(complete("reeve", "audit", "show", "--f")).toEqual(["--follow"]);
    expect(complete("reeve", "audit", "verify", "--")).toEqual([
      "--against",
      "--as-of",
      "--bucket",
      "--ca",
      "--config",
      "--control-witness",
      "--epoch",
      "--head",
      "--help",
      "--json",
      "--log",
      "--proof",
      "--with",
      "--witness",
    ]);
    expect(complete("reeve-control", "send", "scale", "--gr")).toEqual(["--group"]);
    expect(complete("reeve-control", "send", "scale", "--w")).toEqual(["--wait", "--why"].toSorted());
    expect(complete("reeve-control", "fleet", "plan", "scale", "--found")).toEqual(["--found"]);
  }, 60_000);

  test("a flag's value is not taken for a command: what is completed after it is still the command's", () => {
    expect(complete("reeve-control", "fleet", "--dir", "plan", "pl")).toEqual(["plan"]);
    expect(complete("reeve-control", "send", "--why", "scale", "sc")).toEqual(["scale"]);
  }, 60_000);

  test("choices where there are some", () => {
    expect(complete("reeve-control", "send", "update-dns", "--type", "")).toEqual(["A", "AAAA", "CNAME", "TXT"]);
    expect(complete("reeve-control", "send", "update-dns", "--change", "re")).toEqual(["replace"]);
    expect(complete("reeve", "completion", "")).toEqual(["bash", "fish", "zsh"]);
  }, 60_000);

  test("files where a file is meant, folders where a folder is, nothing where neither is", () => {
    const name = (text: string): string => text.replaceAll("\\", "").replace(/\/$/, "");
    expect(complete("reeve", "policy", "check", "").map(name)).toContain("a policy.yaml");
    expect(complete("reeve", "run", "--config", "").map(name)).toContain("a policy.yaml");
    const folders = complete("reeve", "audit", "show", "--log", "").map(name);
    expect(folders).toContain("a folder");
    expect(folders).not.toContain("a policy.yaml");
    expect(complete("reeve-control", "send", "--expires", "")).toEqual([]);
  }, 60_000);
});

test("bash is asked inside --flag=value too, and a flag that takes several is completed for each of them", () => {
  expect(bash("reeve-control", "send", "update-dns", "--type", "=", "AA")).toEqual(["AAAA"]);
  expect(bash("reeve-control", "send", "issue-certificate", "--usage", "server", "cl")).toEqual(["client"]);
  expect(bash("reeve-control", "send", "issue-certificate", "--usage", "server", "--val")).toEqual(["--validity"]);
});

test("the script is written without the program being there when it is used, and another shell is refused", () => {
  for (const program of ["reeve", "reeve-control"])
    for (const shell of ["bash", "zsh", "fish"]) {
      const text = ran("cat", script(shell, program)).stdout;
      expect(text).not.toMatch(/\$\((?:command )?reeve/);
      expect(text.length).toBeGreaterThan(1000);
    }
  const refused = ran(REEVE, "completion", "tcsh");
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("bash, zsh, fish");
});
