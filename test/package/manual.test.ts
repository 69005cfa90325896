import "reflect-metadata";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { everyNode, nodeOf } from "../../agent/commands/completion/tree.ts";
import { exitCodes, filePages, type Page, programPage } from "../../build/package/manual.ts";
import { escaped, inline, sectionOf } from "../../build/package/roff.ts";
import { ran } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";
import { DIST } from "./built.ts";

setDefaultTimeout(60_000);
requireDebian({ man: "man-db", "/usr/share/groff": "groff-base" });

const { programOf } = await import("../../agent/main.ts");
const { programOf: controlOf } = await import("../../control/main.ts");
const AROUND = { version: "1.2.3", after: exitCodes(), see: ["other(1)"] };
const programs = [programOf(), controlOf()];
const pages: readonly Page[] = [...programs.map((program) => programPage(program, AROUND)), ...filePages("1.2.3")];

/** The page as man(1) shows it, in one line, and its warnings. */
function shown(text: string): { words: string; warnings: string } {
  const folder = mkdtempSync(join(tmpdir(), "reeve-man-"));
  try {
    const path = join(folder, "page.1");
    writeFileSync(path, text);
    const env = { PATH: "/usr/bin:/bin", LC_ALL: "C.UTF-8", MANWIDTH: "500", MAN_KEEP_FORMATTING: "" };
    const done = spawnSync("man", ["--warnings", "--no-hyphenation", "--no-justification", "-l", path], {
      env,
      encoding: "utf8",
    });
    expect(done.status).toBe(0);
    return { words: done.stdout.replace(/\s+/g, " "), warnings: done.stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("the pages are reeve(1), reeve-control(1), reeve.yaml(5) and reeve-policy(5)", () => {
  expect(pages.map(({ name }) => name)).toEqual(["reeve.1", "reeve-control.1", "reeve.yaml.5", "reeve-policy.5"]);
});

describe.each(pages.map(({ name, text }) => ({ name, text })))("$name", ({ text }) => {
  test("man finds nothing to warn of", () => {
    const { words, warnings } = shown(text);
    expect(warnings).toBe("");
    expect(words.length).toBeGreaterThan(1000);
    expect(words).toContain("1.2.3");
  });
});

test("a page that man warns of is seen", () => {
  expect(shown(".TH X 1\n.SH NAME\nx \\- \\[no-such-glyph]\n").warnings).not.toBe("");
});

describe.each(programs.map((program, at) => ({ name: program.name(), program, at })))(
  "$name",
  ({ name, program, at }) => {
    test("every command and flag that the executable knows is on its page, in the words of its help", () => {
      const { words } = shown(pages[at]?.text ?? "");
      const nodes = everyNode(nodeOf(program));
      expect(nodes.length).toBeGreaterThan(8);
      for (const node of nodes.filter(({ children }) => children.length === 0)) {
        expect(words).toContain([name, ...node.path].join(" "));
        expect(words).toContain(node.words.replace(/\s+/g, " "));
        for (const { names } of node.flags) expect(words).toContain(names.at(-1) ?? "?");
      }
    });

    test("the commands on the page are those of the compiled executable", () => {
      expect(existsSync(join(DIST, name))).toBe(true);
      const help = ran(join(DIST, name), "--help").stdout;
      const commands = program.commands.map((command) => command.name());
      expect(commands.filter((command) => !new RegExp(`^  ${command}\\b`, "m").test(help))).toEqual([]);
    });
  },
);

describe("from Markdown to man(7)", () => {
  test("no word of ours is read as a request, an escape or another character", () => {
    const text = ".TH evil\n'br\n\\fBx --flag `code` ^ ~";
    const { words, warnings } = shown(`.TH X 1\n.SH NAME\n${escaped(text)}\n`);
    expect(words).toContain(".TH evil 'br \\fBx --flag `code` ^ ~");
    expect(warnings).toBe("");
  });

  test("code spans keep every character, links their words", () => {
    expect(inline("see [POLICY](POLICY.md), `a-b\\|c`")).toBe("see POLICY, \\fBa\\-b|c\\fR");
  });

  test("a section ends where the next begins; one that is not there is an error, no empty page", () => {
    const page = "# T\n\n## One\n\n| a | b |\n|---|---|\n| `x` | y |\n\n## Two\n\nnothing\n";
    expect(sectionOf(page, "## One")).toBe(".TP\n\\fBx\\fR\ny\n");
    expect(() => sectionOf(page, "## Three")).toThrow("there is no");
  });
});
