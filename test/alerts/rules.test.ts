import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "../../build/command.ts";
import { type Ran, running } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";

setDefaultTimeout(240_000);
const SIDES = ["reeve", "reeve-agent"] as const;
/** promtool's files of questions, the quick one first. */
const QUESTIONS = { reeve: ["reeve", "reeve-day"], "reeve-agent": ["reeve-agent"] } as const;
type Side = (typeof SIDES)[number];
type Rule = { readonly alert: string; readonly for: string; readonly labels: Readonly<Record<string, string>> };
const ANNOTATIONS = ["summary"];
let folder: string;

beforeAll(() => {
  requireDebian({ promtool: "prometheus" });
  folder = mkdtempSync(join(tmpdir(), "reeve-alerts-"));
  for (const name of Object.values(QUESTIONS).flat())
    copyFileSync(join(import.meta.dir, `${name}.test.yml`), join(folder, `${name}.test.yml`));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const textOf = (side: Side): string => readFileSync(join(ROOT, `deploy/alerts/${side}.rules.yml`), "utf8");

/** Every file of questions; the worst exit code. */
async function promtool(side: Side, rules: string): Promise<Ran> {
  writeFileSync(join(folder, `${side}.rules.yml`), rules);
  let done: Ran = { code: 0, stdout: "", stderr: "" };
  for (const name of QUESTIONS[side]) {
    const { code, stdout, stderr } = await running("promtool", "test", "rules", join(folder, `${name}.test.yml`));
    done = { code: Math.max(done.code ?? 0, code ?? 70), stdout: done.stdout + stdout, stderr: done.stderr + stderr };
  }
  return done;
}

function rulesOf(side: Side): Rule[] {
  const { groups } = parse(textOf(side)) as { readonly groups: readonly { readonly rules: readonly Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

test.each(SIDES)("the rules of %s fire what they should, when they should, and nothing else", async (side) => {
  const checked = await running("promtool", "check", "rules", join(ROOT, `deploy/alerts/${side}.rules.yml`));
  expect([checked.code, checked.stderr]).toEqual([0, ""]);
  const tested = await promtool(side, textOf(side));
  expect([tested.code, tested.stdout + tested.stderr]).toEqual([0, expect.stringContaining("SUCCESS")]);
});

test.each(SIDES)("each rule of %s has a delay, a severity that is known, and words", (side) => {
  const rules = rulesOf(side);
  expect(rules.length).toBeGreaterThan(10);
  for (const rule of rules) {
    expect([rule.alert, /^[1-9]\d*[mhd]$/.test(rule.for)]).toEqual([rule.alert, true]);
    expect([rule.alert, ["page", "ticket", "info"].includes(rule.labels["severity"] ?? "")]).toEqual([
      rule.alert,
      true,
    ]);
    expect(rule).toHaveProperty(["annotations", ...ANNOTATIONS]);
  }
  for (const { alert, labels } of rules.filter((rule) => /Suspended|NeverStarted|Waits$/.test(rule.alert)))
    expect([alert, labels["severity"]]).not.toEqual([alert, "page"]);
});

/** Names of alerts in what was expected and did not come, and in what came and was not expected. */
function differences(said: string): { missed: Set<string>; extra: Set<string> } {
  const [missed, extra] = [new Set<string>(), new Set<string>()];
  const named = (text: string): string[] => [...text.matchAll(/alertname="(\w+)"/g)].map((match) => match[1] ?? "");
  for (const [, exp = "", got = ""] of said.matchAll(/\bexp:(.*)\n\s*got:(.*)/g)) {
    const [wanted, came] = [new Set(named(exp)), new Set(named(got))];
    for (const name of wanted.difference(came)) missed.add(name);
    for (const name of came.difference(wanted)) extra.add(name);
  }
  return { missed, extra };
}

test.each(SIDES)(
  "no rule of %s can be taken away, and none can lose its delay, without this being seen",
  async (side) => {
    const names = rulesOf(side).map(({ alert }) => alert);
    const deaf = textOf(side).replace(/^( {8}expr: )(?:>-\n(?: {10}.*\n)+|.*\n)/gm, "$1vector(1) > 1\n");
    const rash = textOf(side).replace(/^( {8}for: ).*$/gm, "$10s");
    const [silent, early] = [await promtool(side, deaf), await promtool(side, rash)];
    expect([silent.code, early.code]).toEqual([1, 1]);
    expect(names.filter((name) => !differences(silent.stderr).missed.has(name))).toEqual([]);
    expect(names.filter((name) => !differences(early.stderr).extra.has(name))).toEqual([]);
  },
);
