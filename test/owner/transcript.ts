/**
 * `bun run transcript`: plays a vendor's new version that asks for more, through the compiled executables, and writes what everybody typed
 * and saw to docs/TRANSCRIPT.md. Only scratch paths are shown as they would be named on the people's machines.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { CONTROL, type Ran, REEVE, ran, type World, world, writePolicy } from "../e2e/world.ts";
import { entriesFor, type Person, peopleOf, person, place } from "./people.ts";

export const PAGE = resolve(import.meta.dir, "../../docs/TRANSCRIPT.md");

const grow = (max: number): string => `  - id: brokers-grow
    why: More load. Adds machines.
    allow: scale
    group: brokers
    count: { min: 3, max: ${max} }
    change: { up: 3, down: 0 }
    rate: 4 per hour
    when: always
    approval: none`;
const shrink = (count: string, down: number, approval: string): string => `  - id: brokers-shrink
    why: Less load. Removes a machine and its local disk.
    allow: scale
    group: brokers
    count: ${count}
    change: { up: 0, down: ${down} }
    rate: 6 per day
    when: always
    approval: ${approval}`;
const TESTS = `tests:
  - { given: { count: 6, at: 2026-11-24T09:00:00Z }, ask: { action: scale, group: brokers, count: 5 }, wait: brokers-shrink }
  - { given: { count: 3, at: 2026-11-24T09:00:00Z }, ask: { action: scale, group: brokers, count: 2 }, refuse: count }
  - { given: { count: 3, at: 2026-11-24T09:00:00Z }, ask: { action: scale, group: brokers, count: 5 }, allow: brokers-grow }`;

/** What stands for what, the longest first. */
type Names = readonly (readonly [string, string])[];

class Page {
  readonly lines: string[] = [];
  constructor(private readonly names: Names) {}
  say(...lines: string[]): void {
    this.lines.push(...lines, "");
  }
  /** Runs a program that must end with `expected`; shows who typed what, and what came. */
  type(who: string, expected: number, program: string, ...args: string[]): Ran {
    const done = ran(program, ...args);
    if (done.code !== expected)
      throw new Error(`${args.join(" ")} ended with ${done.code}, not ${expected}:\n${done.stdout}${done.stderr}`);
    const words = [program, ...args].map((word) => (/^[A-Za-z0-9_./:=@,~-]+$/.test(word) ? word : `'${word}'`));
    const code = done.code === 0 ? "" : `[exit ${done.code}]\n`;
    this.block(`${who}$ ${words.join(" ")}\n${done.stdout}${done.stderr}${code}`);
    return done;
  }
  block(text: string): void {
    const shown = this.names.reduce((all, [path, name]) => all.replaceAll(path, name), text).trimEnd();
    this.lines.push(...shown.split("\n").map((line) => (line === "" ? "" : `    ${line}`)), "");
  }
}

/** Plays it all. Returns the page. */
export async function transcript(): Promise<string> {
  const w = await world({ rules: grow(6) });
  try {
    const [alice, bob] = [person(w.folder, "alice"), person(w.folder, "bob")];
    const desk = join(w.folder, "desk");
    mkdirSync(desk);
    const page = new Page(namesOf(w, [alice, bob], desk));
    await play(w, page, alice, bob, desk);
    return `${page.lines.join("\n").trimEnd()}\n`;
  } finally {
    await w.end();
  }
}

function namesOf(w: World, people: readonly Person[], desk: string): Names {
  return [
    [REEVE, "reeve"],
    [CONTROL, "reeve-control"],
    [w.config, "/etc/reeve/reeve.yaml"],
    [w.owner, "/etc/reeve/owner"],
    [w.state, "/var/lib/reeve"],
    [w.root, "vendor-root.pem"],
    [w.data, "D"],
    [w.keys, "K"],
    [`${desk}/`, ""],
    ...people.flatMap(({ key, folder }) => [[key, "~/.ssh/id_ed25519"] as const, [`${folder}/`, ""] as const]),
  ];
}

async function play(w: World, page: Page, alice: Person, bob: Person, desk: string): Promise<void> {
  const people = peopleOf(alice, bob);
  const file = (name: string, rules: string, revision: number, tests = "tests: []"): string => {
    writePolicy({ owner: desk }, rules, revision, { people });
    const path = join(desk, name);
    writeFileSync(path, readFileSync(join(desk, "policy.yaml"), "utf8").replace("tests: []", tests), { mode: 0o644 });
    return path;
  };
  const rulesOf = (path: string): string => {
    const text = readFileSync(path, "utf8");
    return text.slice(text.indexOf("rules:"));
  };
  copyFileSync(file("mine.yaml", grow(6), 2), join(w.owner, "policy.yaml"));
  const mine = join(w.owner, "policy.yaml");
  w.startAgent();
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
  const send = (expected: number, count: string): Ran =>
    page.type(
      "vendor",
      expected,
      CONTROL,
      ...["send", "--dir", w.data, "--keys", w.keys, "--cluster", "prod-eu-1"],
      ...[
        "--by",
        "maria@vendor.example",
        "--why",
        "INC-4312",
        "--wait",
        "scale",
        "--group",
        "brokers",
        "--count",
        count,
      ],
    );

  page.say(
    "# A vendor asks for more: one story, typed and shown",
    "",
    "`bun run transcript` played this through the compiled executables and wrote it down; nothing here was edited. The vendor works on its own computer, the customer's",
    "operator on the agent's machine, alice and bob on theirs. Paths are shown as they would be named there.",
  );
  page.say("## 1. What the customer's policy permits today: growing, up to six");
  page.block(rulesOf(mine));
  send(0, "3");
  send(0, "6");
  send(1, "5");

  page.say(
    "## 2. The vendor's new version asks for more",
    "",
    "It sends a policy that it would like to have. What is different?",
  );
  const wish = file("vendor.yaml", `${grow(12)}\n${shrink("{ min: 1, max: 12 }", 2, "none")}`, 3);
  page.block(rulesOf(wish));
  page.type("customer", 1, REEVE, "policy", "review", wish, "--mine", mine);

  page.say(
    "## 3. The customer narrows it",
    "",
    "Six machines stay the most. Shrinking is wanted, one machine at a time, never below three, and only when alice and bob both say yes.",
  );
  const narrowed = file(
    "narrowed.yaml",
    `${grow(6)}\n${shrink("{ min: 3, max: 6 }", 1, "{ by: [alice, bob], need: 2, within: 2h }")}`,
    3,
    TESTS,
  );
  page.block(rulesOf(narrowed));
  page.type("customer", 0, REEVE, "policy", "check", narrowed, "--install", "--config", w.config, "--yes");
  await w.until("it is in force", () => w.reeve(["status"]).stdout.includes("revision 3"));

  page.say("## 4. A shrink waits for two people");
  send(1, "4");
  const waiting = send(8, "5");
  const id = /command (\S+)/.exec(waiting.stderr + waiting.stdout)?.[1] ?? "";
  await w.until("status lists it", () => w.reeve(["status"]).stdout.includes(id));
  await w.until("every entry is cosigned", () => {
    const shown = w.reeve(["status"]).stdout;
    return shown.includes(`cosigned ${/(\d+) entries, root/.exec(shown)?.[1]} entries`);
  });
  page.type("customer", 0, REEVE, "status", "--config", w.config);

  page.say(
    "## 5. Alice and bob approve it, each on a computer of their own",
    "",
    "The operator sends them what `reeve audit show --json` prints; it holds no secret. Their signatures travel back by any path.",
  );
  for (const who of [alice, bob]) {
    entriesFor(w, who);
    const signature = join(who.folder, `${id}.${who.name}.sig`);
    page.type(
      who.name,
      0,
      REEVE,
      ...[
        "approve",
        id,
        "--from",
        join(who.folder, "entries.jsonl"),
        "--key",
        who.key,
        "--as",
        who.name,
        "--yes",
        "--out",
        signature,
      ],
    );
    place(w, `${id}.${who.name}`, readFileSync(signature, "utf8"));
    page.block(`customer$ cp ${id}.${who.name}.sig /etc/reeve/owner/approvals/`);
    if (who === alice)
      await w.until("the first is on record", () => w.reeve(["audit", "show"]).stdout.includes("by alice"));
  }
  await w.until("it ran", () => w.reeve(["audit", "show"], "--command", id).stdout.includes("outcome"));

  page.say("## 6. It ran, and stands in the log");
  page.type("customer", 0, REEVE, "audit", "show", "--config", w.config, "--last", "14");
  page.type("vendor", 0, CONTROL, "fleet", "--dir", w.data);
  page.say(
    "The log is whole, every approval in it is held to its signature, and every intent to the approvals that it names. (Exit 11: nobody has witnessed the newest entries yet.)",
  );
  page.type("auditor", 11, REEVE, "audit", "verify", "--log", join(w.state, "audit"), "--ca", w.root);
}

if (import.meta.main) {
  writeFileSync(PAGE, await transcript());
  console.log(`wrote ${PAGE}`);
}
