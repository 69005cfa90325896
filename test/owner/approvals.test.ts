import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REEVE, ran, send, type World, world, writePolicy } from "../e2e/world.ts";
import { approve, entriesFor, messageFor, type Person, peopleOf, person, place, signature } from "./people.ts";

const rules = (within: string, need = 1): string => `  - id: grow
    why: More load.
    allow: scale
    group: brokers
    count: { min: 0, max: 6 }
    change: { up: 6, down: 0 }
    rate: 1000 per hour
    when: always
    approval: none
  - id: shrink
    why: Less load. Removes a machine and its local disk.
    allow: scale
    group: brokers
    count: { min: 0, max: 6 }
    change: { up: 0, down: 1 }
    rate: 1000 per hour
    when: always
    approval: { by: [alice, bob], need: ${need}, within: ${within} }`;

type Shown = {
  kind: string;
  code?: string | null;
  command?: string;
  index: number;
  result?: string;
  approves?: string;
  person?: string | null;
  because?: string;
  approved?: { entry: number; person: string }[];
};
let w: World;
let [alice, bob, carol]: Person[] = [];
let revision = 1;
const entries = (): Shown[] => w.entries() as Shown[];
const of = (id: string): Shown[] => entries().filter((entry) => entry.command === id || entry.approves === id);
const kinds = (id: string): string[] => of(id).map(({ kind, code }) => (code ? `${kind} ${code}` : kind));
const policy = (text: string, people = peopleOf(alice as Person, bob as Person)): void =>
  writePolicy(w, text, ++revision, { people });
const settled = (id: string, what: string): Promise<void> =>
  w.until(`${id} is ${what}`, () => kinds(id).includes(what));

/** Asks for one broker less, and gives the id once it waits. */
function shrink(...flags: string[]): string {
  const count = w.pids().length - 1;
  const sent = send(w, "scale", "--group", "brokers", "--count", String(count), ...flags);
  expect(sent.code).toBe(8);
  const said = JSON.parse(sent.stdout) as { command: string; state: string };
  expect(said.state).toBe("waiting");
  return said.command;
}

beforeAll(async () => {
  w = await world({ rules: rules("2h") });
  [alice, bob, carol] = ["alice", "bob", "carol"].map((name) => person(w.folder, name));
  policy(rules("2h"));
  w.startAgent();
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
  expect(send(w, "scale", "--group", "brokers", "--count", "6").code).toBe(0);
}, 60_000);
afterAll(async () => {
  await w?.end();
}, 60_000);

describe("approvals, through the compiled executables and the real ssh-keygen", () => {
  test("a command that needs approval waits, is shown in full to the approver, approved, and runs once", async () => {
    const id = shrink();
    expect(w.pids().length).toBe(6);
    const fleet = JSON.parse(w.vendor("fleet", "--json").stdout) as { clusters: { state: string }[] };
    expect(fleet.clusters[0]?.state).toBe("waiting for approval");
    const approved = approve(w, alice as Person, id);
    expect(approved.code).toBe(0);
    for (const words of [
      "prod-eu-1 is asked to scale",
      "group:brokers",
      "count 6",
      "count 5",
      "shrink: vendor.example may set the group brokers to between 0 and 6 machines",
      "1 of alice, bob",
      `maria@vendor.example (the vendor's word)`,
      "INC-4312 (the vendor's word)",
      "59 min 5",
    ])
      expect(approved.stdout).toContain(words);
    await settled(id, "outcome");
    expect(kinds(id)).toEqual(["waiting", "approval", "intent", "outcome"]);
    expect(w.pids().length).toBe(5);
    const [, yes, intent] = of(id);
    expect(intent?.approved).toEqual([{ entry: yes?.index ?? -1, person: "alice" }]);
    const again = ran(
      REEVE,
      "approve",
      id,
      "--from",
      entriesFor(w, bob as Person),
      "--key",
      (bob as Person).key,
      "--yes",
    );
    expect([again.code, again.stderr.includes("approved and begun")]).toEqual([1, true]);
    expect(w.reeve(["audit", "verify"], "--ca", w.root).code).toBe(11);
    // As docs/AUDIT-LOG.md says: ssh-keygen itself, from the log alone and the key that the policy gave.
    const kept = (w.entries() as { index: number; signature?: string; digest: string }[])[yes?.index ?? -1];
    const waited = (w.entries() as { kind: string; command?: string; digest: string }[]).find(
      ({ kind, command }) => kind === "waiting" && command === id,
    );
    const file = (name: string, text: string): string => {
      writeFileSync(join(w.folder, name), text);
      return join(w.folder, name);
    };
    const lines = `reeve approval\ncluster prod-eu-1\ncommand ${id}\n${waited?.digest}\n`;
    const armor = `-----BEGIN SSH SIGNATURE-----\n${kept?.signature?.replace(/.{70}/g, "$&\n").trimEnd()}\n-----END SSH SIGNATURE-----\n`;
    const allowed = file("allowed", `alice ${(alice as Person).publicKey}\n`);
    const args = ["-Y", "verify", "-f", allowed, "-I", "alice", "-n", "reeve-approval", "-s", file("kept.sig", armor)];
    const said = ran("sh", "-c", `ssh-keygen ${args.join(" ")} < ${file("lines", lines)}`);
    expect([said.code, said.stdout.includes('Good "reeve-approval" signature for alice')]).toEqual([0, true]);
  }, 60_000);

  test("another person, another namespace, another digest, junk and a stranger's key count for nothing, and are on record", async () => {
    const id = shrink();
    const message = messageFor(w, alice as Person, id);
    expect(message).toContain(`\ncommand ${id}\nsha256:`);
    const other = message.replace(/sha256:./, "sha256:0").replace(/sha256:0(.{62})./, "sha256:0$10");
    place(w, id, signature(alice as Person, message, "file"));
    place(w, `${id}.alice`, signature(alice as Person, other));
    place(w, `${id}.bob`, `${signature(carol as Person, message)}`);
    await w.until("all three are on record", () => of(id).filter(({ kind }) => kind === "approval").length === 3);
    expect(kinds(id).toSorted()).toEqual(
      ["waiting", "approval approval.namespace", "approval approval.signature", "approval approval.person"].toSorted(),
    );
    place(w, id, "yes, please\n");
    await settled(id, "approval approval.form");
    rmSync(join(w.owner, "approvals", `${id}.sig`));
    mkdirSync(join(w.owner, "approvals", `${id}.sig`));
    await settled(id, "approval approval.unreadable");
    rmSync(join(w.owner, "approvals", `${id}.sig`), { recursive: true });
    expect(w.pids().length).toBe(5);
    // The right one still counts.
    place(w, `${id}.alice`, signature(alice as Person, message));
    await settled(id, "outcome");
    await w.until("one is gone", () => w.pids().length === 4);
  }, 60_000);

  test("a person taken out of the policy meanwhile counts for nothing", async () => {
    const id = shrink();
    const message = messageFor(w, alice as Person, id);
    policy(rules("2h").replaceAll("[alice, bob]", "[bob]"), peopleOf(bob as Person));
    place(w, id, signature(alice as Person, message));
    await settled(id, "approval approval.person");
    policy(rules("2h").replaceAll("[alice, bob]", "[bob]"), peopleOf(alice as Person, bob as Person));
    await Bun.sleep(3000);
    expect(kinds(id)).not.toContain("intent");
    place(w, `${id}.bob`, signature(bob as Person, message));
    await settled(id, "outcome");
    expect(
      of(id)
        .find(({ kind }) => kind === "intent")
        ?.approved?.map((one) => one.person),
    ).toEqual(["bob"]);
    policy(rules("2h"));
  }, 60_000);

  test("need: 2 takes two different people: one person's two signatures are one", async () => {
    policy(rules("2h", 2));
    const id = shrink();
    const message = messageFor(w, alice as Person, id);
    place(w, id, signature(alice as Person, message));
    place(w, `${id}.bob`, signature(alice as Person, message));
    await settled(id, "approval");
    await Bun.sleep(3000);
    expect(kinds(id)).not.toContain("intent");
    rmSync(join(w.owner, "approvals", `${id}.bob.sig`));
    // Two blocks in one file are as good as two files.
    place(w, id, signature(alice as Person, message) + signature(bob as Person, message));
    await settled(id, "outcome");
    const intent = of(id).find(({ kind }) => kind === "intent");
    expect(intent?.approved?.map((one) => one.person)).toEqual(["alice", "bob"]);
    policy(rules("2h"));
  }, 60_000);

  test("an approval counts once: for the next command with the same words it is nothing", async () => {
    expect(send(w, "scale", "--group", "brokers", "--count", "3").code).toBe(0);
    const first = shrink();
    const file = signature(alice as Person, messageFor(w, alice as Person, first));
    place(w, first, file);
    await settled(first, "outcome");
    expect(send(w, "scale", "--group", "brokers", "--count", "3").code).toBe(0);
    const second = shrink();
    place(w, second, file);
    await settled(second, "approval approval.signature");
    expect(w.pids().length).toBe(3);
    expect(approve(w, alice as Person, second).code).toBe(0);
    await settled(second, "outcome");
    // The first one's id is decided: its bytes are answered from the record.
    expect(w.vendor("send", "--replay", first).code).toBe(0);
    await settled(first, "refused verify.replayed");
    expect(w.pids().length).toBe(2);
  }, 60_000);

  test("a wait ends with `within`: an approval that comes late is refused, on record, and changes nothing", async () => {
    policy(rules("3s"));
    const id = shrink();
    const message = messageFor(w, alice as Person, id);
    await settled(id, "refused policy.approval.needs-approval");
    expect(of(id).at(-1)?.because).toContain("nobody approved");
    place(w, id, signature(alice as Person, message));
    await Bun.sleep(3000);
    expect(kinds(id)).toEqual(["waiting", "refused policy.approval.needs-approval"]);
    const late = ran(
      REEVE,
      "approve",
      id,
      "--from",
      entriesFor(w, alice as Person),
      "--key",
      (alice as Person).key,
      "--yes",
    );
    expect([late.code, late.stderr.includes("Nothing was signed")]).toEqual([1, true]);
    const shown = w.vendor("fleet commands", "--cluster", "prod-eu-1");
    expect(shown.stdout).toContain("policy.approval.needs-approval");
    policy(rules("2h"));
  }, 60_000);

  test("a wait ends with the command's own expiry", async () => {
    const count = w.pids().length - 1;
    const sent = w.vendor(
      "send",
      "--keys",
      w.keys,
      "--cluster",
      "prod-eu-1",
      "--expires",
      "4s",
      "--wait",
      "--json",
      "scale",
      "--group",
      "brokers",
      "--count",
      String(count),
    );
    const { command } = JSON.parse(sent.stdout) as { command: string };
    await settled(command, "refused policy.approval.needs-approval");
  }, 60_000);

  test("what waits is taken back by a cancel, and refused when the switch is off at its approval", async () => {
    const cancelled = shrink();
    expect(w.vendor("cancel", cancelled).code).toBe(0);
    await settled(cancelled, "refused verify.cancelled");
    const id = shrink();
    const message = messageFor(w, alice as Person, id);
    expect(w.reeve(["suspend"], "--why", "a freeze").code).toBe(0);
    place(w, id, signature(alice as Person, message));
    await settled(id, "refused verify.suspended");
    expect(w.reeve(["resume"]).code).toBe(0);
    await w.until("it is ready", () => w.reeve(["status"], "--json").code === 0);
    expect(kinds(id)).not.toContain("intent");
  }, 60_000);

  test("at approval the road is taken again with the policy of that moment", async () => {
    const id = shrink();
    const message = messageFor(w, alice as Person, id);
    policy(rules("2h").replace("change: { up: 0, down: 1 }", "change: { up: 0, down: 0 }"));
    place(w, id, signature(alice as Person, message));
    await settled(id, "refused policy.change.down");
    policy(rules("2h"));
  }, 60_000);

  test("what waits is answered from the record when it is delivered again, and goes on waiting", async () => {
    const id = shrink();
    const held = of(id)[0]?.index;
    expect(w.vendor("send", "--replay", id).code).toBe(0);
    await settled(id, "refused verify.replayed");
    expect((of(id).at(-1) as { first?: number }).first).toBe(held);
    expect(w.reeve(["status"]).stdout).toContain(id);
    expect(w.vendor("cancel", id).code).toBe(0);
    await settled(id, "refused verify.cancelled");
  }, 60_000);

  test("what waits survives kill -9 of the agent, and so does its approval", async () => {
    expect(send(w, "scale", "--group", "brokers", "--count", "3").code).toBe(0);
    const id = shrink();
    const message = messageFor(w, alice as Person, id);
    ran("pkill", "-KILL", "-f", `run --config ${w.config}`);
    place(w, id, signature(alice as Person, message));
    w.startAgent();
    await settled(id, "outcome");
    expect(kinds(id)).toEqual(["waiting", "approval", "intent", "outcome"]);
    expect(w.pids().length).toBe(2);
  }, 60_000);

  test("without contact an approval begins nothing", async () => {
    const id = shrink();
    const message = messageFor(w, alice as Person, id);
    w.control.kill("SIGKILL");
    await w.until("contact is lost", () => w.reeve(["status"]).stdout.includes("none since"), 90);
    place(w, id, signature(alice as Person, message));
    await Bun.sleep(4000);
    expect(kinds(id)).toEqual(["waiting"]);
    await w.startControl();
    await settled(id, "outcome");
    expect(w.pids().length).toBe(1);
  }, 120_000);

  test("a seventeenth command does not wait", async () => {
    expect(send(w, "scale", "--group", "brokers", "--count", "3").code).toBe(0);
    const ids = Array.from({ length: 16 }, () => shrink());
    const one = send(w, "scale", "--group", "brokers", "--count", "2");
    expect([one.code, JSON.parse(one.stdout).code]).toEqual([1, "policy.approval.too-many"]);
    for (const id of ids) expect(w.vendor("cancel", id).code).toBe(0);
    await w.until("all are taken back", () => ids.every((id) => kinds(id).includes("refused verify.cancelled")));
  }, 120_000);

  test("a dry run says that it would wait, and does not", () => {
    const dry = send(w, "scale", "--group", "brokers", "--count", "2", "--dry-run");
    expect(dry.code).toBe(0);
    expect(JSON.parse(dry.stdout).entry).toMatchObject({
      kind: "considered",
      approval: { by: ["alice", "bob"], need: 1 },
    });
  }, 60_000);

  test("entries that were edited on their way show no other command than the one that is signed", () => {
    const id = shrink();
    const file = entriesFor(w, alice as Person);
    const text = readFileSync(file, "utf8");
    const own = (lines: string): string =>
      lines.split("\n").findLast((line) => line.includes(`"command":"${id}"`)) ?? "";
    const edited = own(text).replace(/"signed":"([^."]*)\.([^."]*)/, (_, header: string, payload: string) => {
      const claims = Buffer.from(payload, "base64url").toString().replace('"count":2', '"count":1');
      return `"signed":"${header}.${Buffer.from(claims).toString("base64url")}`;
    });
    expect(edited).not.toBe(own(text));
    writeFileSync(file, `${edited}\n`);
    const refused = ran(REEVE, "approve", id, "--from", file, "--key", (alice as Person).key, "--yes");
    expect([refused.code, refused.stderr.includes("digest is not the one")]).toEqual([3, true]);
    expect(w.vendor("cancel", id).code).toBe(0);
  }, 60_000);

  test("an edited approval in the log is found by audit verify", () => {
    const copy = join(w.folder, "copy-of-the-log");
    ran("cp", "-r", join(w.state, "audit"), copy);
    const file = join(copy, "00000000000000000000.jsonl");
    const text = readFileSync(file, "utf8");
    const line =
      text.split("\n").find((each) => each.includes('"kind":"approval"') && each.includes('"code":null')) ?? "";
    expect(line).not.toBe("");
    writeFileSync(file, text.replace(line, line.replace('"person":"alice"', '"person":"bob"')));
    const said = ran(REEVE, "audit", "verify", "--log", copy, "--ca", w.root, "--json");
    expect(said.code).toBe(13);
  }, 60_000);
});
