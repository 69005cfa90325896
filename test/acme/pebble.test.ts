/** Against Let's Encrypt's own test server and BIND: what good authorities do to clients on purpose. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes, X509Certificate } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Rule } from "../../policy/policy.ts";
import { type NameServer, startBind } from "../providers/bind.ts";
import { act, errand, removeAll, scratch, see } from "../providers/world.ts";
import { type Pebble, type PebbleWish, startPebble } from "./pebble.ts";
import { type Asking, AUTHORITY, asking, challengesIn, NAMES, type Wish } from "./stage.ts";

const root = scratch();
let bind: NameServer;
beforeAll(async () => {
  bind = await startBind(`${root}/bind`, [...NAMES, "d.example.com"]);
}, 330_000);
afterAll(async () => {
  await bind?.stop();
  removeAll([root]);
});

async function withPebble(
  wish: Omit<PebbleWish, "dns">,
  then: (pebble: Pebble, ask: (wish?: Wish) => Promise<Asking>) => Promise<void>,
): Promise<void> {
  const pebble = await startPebble(mkdtempSync(join(root, "pebble-")), { dns: bind.server, ...wish });
  try {
    await then(pebble, (more) => asking(mkdtempSync(join(root, "case-")), bind, pebble, more));
  } finally {
    await pebble.stop();
  }
}

test(
  "a fifth of all good nonces is refused: one certificate each time",
  () =>
    withPebble({ nonceReject: 20 }, async (pebble, ask) => {
      const refused = new Set<string>();
      for (let round = 1; round <= 4; round++) {
        const { command } = await ask();
        const { operations, ...done } = await act(command);
        expect(done).toMatchObject({ result: "succeeded", code: null });
        expect(pebble.issued()).toBe(round);
        for (const { operation, status } of operations) if (status === "bad-nonce") refused.add(operation);
      }
      // At least one was met, or nothing was shown.
      expect(refused.size).toBeGreaterThan(0);
      expect(await challengesIn(bind)).toEqual([]);
    }),
  120_000,
);

test(
  "validations that take their time are waited for",
  () =>
    withPebble({ sleepSeconds: 3 }, async (pebble, ask) => {
      const { command } = await ask();
      expect(await act(command)).toMatchObject({ result: "succeeded" });
      expect(pebble.issued()).toBe(1);
    }),
  120_000,
);

test(
  "a record that the name server does not let be written: failed, nothing is issued",
  () =>
    withPebble({}, async (pebble, ask) => {
      const { command, deliver } = await ask({ names: ["a.example.com", "c.example.com"] });
      expect(await act(command)).toMatchObject({ result: "failed", code: "dns-dns-refused", changed: [] });
      expect([pebble.issued(), existsSync(deliver)]).toEqual([0, false]);
      expect(await challengesIn(bind)).toEqual([]);
    }),
  120_000,
);

test("an account that another one vouches for (RFC 8555 section 7.3.4)", () => {
  const key = randomBytes(32).toString("base64url");
  return withPebble({ external: { id: "kid-1", key } }, async (pebble, ask) => {
    const key_file = join(mkdtempSync(join(root, "key-")), "key");
    writeFileSync(key_file, `${key}\n`, { mode: 0o600 });
    const none = await ask();
    expect(await act(none.command)).toMatchObject({ result: "failed", code: "external-account" });
    const { command } = await ask({ acme: { external_account: { id: "kid-1", key_file } } });
    expect(await act(command)).toMatchObject({ result: "succeeded" });
    expect(pebble.issued()).toBe(1);
    writeFileSync(key_file, randomBytes(32).toString("base64url"), { mode: 0o600 });
    const wrong = await ask({ acme: { external_account: { id: "kid-1", key_file } } });
    expect(await act(wrong.command)).toMatchObject({ result: "failed", certificate: null });
  });
}, 120_000);

test(
  "the validity is asked where the config says that the authority takes it, and what comes is held to it in any case",
  () =>
    withPebble({}, async (pebble, ask) => {
      const week = 7 * 86_400;
      const asked = await ask({ validity: week, acme: { validity: "asked" } });
      const done = await act(asked.command);
      const leaf = new X509Certificate(Buffer.from(done.certificate?.[0] ?? "", "base64"));
      expect(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)).toBe((week - 1) * 1000);
      expect(done).toMatchObject({ result: "succeeded" });
      // Left to itself Pebble's are valid for years: more than was asked.
      const theirs = await ask({ validity: week });
      expect(await act(theirs.command)).toMatchObject({ result: "failed", code: "issued-other-validity" });
      expect([pebble.issued(), existsSync(asked.deliver), existsSync(theirs.deliver)]).toEqual([2, true, false]);
    }),
  120_000,
);

test(
  "the account's key is made on this machine, by one command, and is the same for the next",
  () =>
    withPebble({}, async (pebble, ask) => {
      const { command, state } = await ask();
      const path = join(state, "acme/test/account-key.pem");
      await see(command);
      expect(existsSync(path)).toBe(false);
      await act(command);
      const key = readFileSync(path, "utf8");
      expect(statSync(path).mode & 0o777).toBe(0o600);
      await act(command, {}, errand());
      expect(readFileSync(path, "utf8")).toBe(key);
      expect(pebble.said().filter((line) => line.includes("There are now 1 accounts in memory")).length).toBe(1);
      expect(pebble.said().some((line) => line.includes("There are now 2 accounts"))).toBe(false);
    }),
  120_000,
);

test(
  "a key that others may read is not used",
  () =>
    withPebble({}, async (pebble, ask) => {
      const account_key = join(mkdtempSync(join(root, "key-")), "account.pem");
      const first = await ask({ acme: { account_key } });
      expect(await act(first.command)).toMatchObject({ result: "succeeded" });
      chmodSync(account_key, 0o644);
      const second = await ask({ acme: { account_key } });
      expect(await act(second.command)).toMatchObject({ result: "failed", code: "account-key" });
      expect(pebble.issued()).toBe(1);
    }),
  120_000,
);

test(
  "doctor says of the directory, the account and the zone whether they can be used",
  () =>
    withPebble({}, async (pebble, ask) => {
      const one = await ask();
      const rule = { id: "web", allow: "issue-certificate", authority: AUTHORITY, names: { exactly: [NAMES[0]] } };
      const elsewhere = { ...rule, id: "other", authority: "acme:test/zone/other.example" };
      const rules = [rule, elsewhere] as unknown as readonly Rule[];
      const probe = async () => {
        const parts = await one.provider.probe(rules, AbortSignal.timeout(30_000));
        return parts.filter(({ what }) => /^acme|^rule/.test(what));
      };
      const parts = await probe();
      expect(parts.map(({ what, ok }) => [what, ok])).toEqual([
        [`acme test ${pebble.directory}`, true],
        ["acme test account", true],
        ["rule web zone example.com", true],
        ["rule other zone other.example", false],
      ]);
      expect(parts[1]?.because).toContain("none yet");
      await act(one.command);
      expect((await probe())[1]?.because).toContain(`https://localhost:${pebble.port}/my-account/`);
      await pebble.stop();
      const gone = await probe();
      expect(gone.slice(0, 2).map(({ ok, because }) => [ok, because.split(":")[0]])).toEqual([
        [false, "connection-refused"],
        [false, "connection-refused"],
      ]);
    }),
  120_000,
);

test("an account that the authority has forgotten is said by doctor", async () => {
  const account_key = join(mkdtempSync(join(root, "key-")), "account.pem");
  await withPebble({}, async (_, ask) => {
    expect(await act((await ask({ acme: { account_key } })).command)).toMatchObject({ result: "succeeded" });
  });
  await withPebble({}, async (_, ask) => {
    const { provider } = await ask({ acme: { account_key } });
    const parts = await provider.probe([], AbortSignal.timeout(30_000));
    expect(parts.find(({ what }) => what === "acme test account")).toMatchObject({
      ok: false,
      because: expect.stringContaining("account-missing"),
    });
  });
}, 120_000);
