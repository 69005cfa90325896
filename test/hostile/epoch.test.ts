/** The customer's machine is replaced, its disk is empty, and a hostile control plane tells each new one that it is the first. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { timeText } from "../../policy/duration.ts";
import { type Actor, actor, command, idOf, type Shown } from "./actor.ts";

let a: Actor;
beforeAll(async () => {
  a = await actor();
  a.trust = a.statements;
  await a.until("the statement is in force", async () => (await a.entries()).some(({ kind }) => kind === "trust"));
  a.trust = [];
}, 240_000);
afterAll(async () => {
  await a?.end();
}, 60_000);

/** Asks for one process more or less, until it is decided: the entry that decided it. */
async function asked(count: number): Promise<Shown | undefined> {
  const text = command(a.plane.first, { args: { group: "brokers", count } });
  const decided = async (): Promise<Shown | undefined> =>
    (await a.entries()).find((one) => one.command === idOf(text) && ["outcome", "refused"].includes(one.kind));
  await a.until("it is decided", async () => {
    if (a.waiting() === 0) a.hand([text]);
    return (await decided()) !== undefined;
  });
  return decided();
}

/** The group of one has a new machine: with the same config and owner's folder, and nothing else. `until`: of its config's `first_until`. */
async function replaced(until: string | null): Promise<void> {
  process.kill(a.pid(), "SIGTERM");
  await a.until("it has ended", () => a.exit() !== null);
  rmSync(a.path("before"), { recursive: true, force: true });
  renameSync(a.path("state"), a.path("before"));
  const config = readFileSync(a.path("reeve.yaml"), "utf8").replace(/^first_until: .*\n/m, "");
  writeFileSync(a.path("reeve.yaml"), `${config}${until === null ? "" : `first_until: ${until}\n`}`);
  writeFileSync(a.path("token"), await a.plane.token(), { mode: 0o600 });
  a.reported = 0;
  a.trust = a.statements;
  a.start();
  await a.until("the new machine is ready", async () => (await a.reeve("status")).code === 0);
  await a.until("the statement is in force", async () => (await a.entries()).some(({ kind }) => kind === "trust"));
  a.trust = [];
  const [first] = await a.entries();
  expect(first).toMatchObject({ kind: "epoch", epoch: 1, before: null });
}

const ago = (hours: number): string => timeText(Date.now() - hours * 3_600_000);
const MOMENTS: Record<string, () => string | null> = {
  "whose config says nothing of a first machine": () => null,
  "whose config is that of the first one, from a day ago": () => ago(24),
  "whose config names a moment too far ahead to be a join's": () => ago(-30 * 24),
};

test("the first machine has its rates from the start, as its owner says that it is the first", async () => {
  expect([(await asked(1))?.kind, (await asked(2))?.kind]).toEqual(["outcome", "outcome"]);
  // Two a day, and no more.
  expect(await asked(1)).toMatchObject({ kind: "refused", code: "policy.rate" });
}, 240_000);

for (const [which, until] of Object.entries(MOMENTS)) {
  test(`a machine in its place that is told epoch 1 once more, and ${which}, does not have them anew`, async () => {
    await replaced(until());
    expect(await asked(1)).toMatchObject({
      kind: "refused",
      code: "policy.rate",
      because: expect.stringContaining("the log does not reach back that far"),
    });
    expect((await a.entries()).some(({ kind }) => kind === "intent")).toBe(false);
    expect(a.said()).toContain("write first_until into the config");
  }, 240_000);
}
