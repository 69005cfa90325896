/** A certificate counts only when it is exactly what was judged. What was issued all the same is on record, and is handed to nobody. */
import "reflect-metadata";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
} from "@peculiar/x509";
import { type NameServer, startBind } from "../providers/bind.ts";
import { act, errand, removeAll, scratch, see } from "../providers/world.ts";
import { type Authority, startAuthority } from "./authority.ts";
import { type Asking, asking, challengesIn, HASTY, NAMES, type Wish } from "./stage.ts";
import { certificate, type Wish as LeafWish, authority as makeAuthority, newKeys, pem } from "./tls.ts";

const DAY = 86_400;
const root = scratch();
let bind: NameServer;
let authority: Authority;
beforeAll(async () => {
  bind = await startBind(`${root}/bind`, NAMES);
}, 330_000);
afterAll(async () => {
  await bind?.stop();
  removeAll([root]);
});
beforeEach(async () => {
  authority = await startAuthority();
});
afterEach(() => authority.stop());

async function asked(wish: Wish = {}): Promise<Asking> {
  const folder = mkdtempSync(join(root, "case-"));
  const issued_by = join(folder, "issuers.pem");
  writeFileSync(issued_by, authority.issuers);
  const acme = { issued_by, ...wish.acme };
  return asking(folder, bind, authority, { usages: ["server"], validity: 2 * DAY, host: HASTY, ...wish, acme });
}

/** Extensions of the good leaf, one kind replaced. */
function instead(wish: LeafWish, ...by: readonly NonNullable<LeafWish["extensions"]>[number][]): LeafWish {
  const kinds = new Set(by.map(({ type }) => type));
  return { ...wish, extensions: [...(wish.extensions ?? []).filter(({ type }) => !kinds.has(type)), ...by] };
}
const SERVER = "1.3.6.1.5.5.7.3.1";
const CLIENT = "1.3.6.1.5.5.7.3.2";
const dns = (...names: string[]) => new SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value })));

async function expectRefused(one: Asking, code: string, more: { min?: number } = {}): Promise<void> {
  const { deliver, command } = one;
  const found = await see(command);
  const own = { ...errand(), validity: { min: more.min ?? 1, max: 3650 * DAY } };
  const done = await act(command, {}, own, found);
  expect(done).toMatchObject({ result: "failed", code, changed: [{ what: "certificate", from: null }] });
  // It is valid from now on, whatever it is: the outcome has it.
  expect(new X509Certificate(Buffer.from(done.certificate?.[0] ?? "", "base64")).serialNumber.toLowerCase()).toBe(
    done.changed[0]?.to?.toLowerCase() ?? "",
  );
  expect(authority.issued).toBe(1);
  expect(existsSync(deliver)).toBe(false);
  expect(await challengesIn(bind)).toEqual([]);
}

test.each<[string, (wish: LeafWish) => LeafWish | Promise<LeafWish>, string]>([
  ["for another key", async (wish) => ({ ...wish, publicKey: (await newKeys()).publicKey }), "issued-other-key"],
  ["with one name more", (wish) => instead(wish, dns(...NAMES, "c.example.com")), "issued-other-names"],
  ["with one name fewer", (wish) => instead(wish, dns(NAMES[0])), "issued-other-names"],
  ["with a wildcard", (wish) => instead(wish, dns(NAMES[0], "*.example.com")), "issued-other-names"],
  [
    "with an address",
    (wish) =>
      instead(
        wish,
        new SubjectAlternativeNameExtension([
          { type: "dns", value: NAMES[0] },
          { type: "dns", value: NAMES[1] },
          { type: "ip", value: "10.0.0.1" },
        ]),
      ),
    "issued-other-names",
  ],
  ["with another subject", (wish) => ({ ...wish, subject: "CN=bank.example" }), "issued-other-subject"],
  ["for clients too", (wish) => instead(wish, new ExtendedKeyUsageExtension([SERVER, CLIENT])), "issued-other-usages"],
  [
    "for nothing that it says",
    (wish) => ({ ...wish, extensions: wish.extensions?.filter(({ type }) => type !== "2.5.29.37") ?? [] }),
    "issued-other-usages",
  ],
  [
    "that may sign others",
    (wish) => instead(wish, new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign, true)),
    "issued-authority",
  ],
  [
    "that is an authority",
    (wish) => instead(wish, new BasicConstraintsExtension(true, undefined, true)),
    "issued-authority",
  ],
  [
    "that may not sign what TLS signs",
    (wish) => instead(wish, new KeyUsagesExtension(KeyUsageFlags.keyEncipherment, true)),
    "issued-other-usages",
  ],
  ["that is valid for longer than was asked", (wish) => ({ ...wish, until: 2 * DAY * 1000 }), "issued-other-validity"],
  ["that is not valid yet", (wish) => ({ ...wish, from: 3_600_000, until: 2 * 3_600_000 }), "issued-other-validity"],
  ["that is over already", (wish) => ({ ...wish, from: -7_200_000, until: -3_600_000 }), "issued-other-validity"],
])("a certificate %s is not the one that was judged", async (_, leaf, code) => {
  authority.leaf = leaf;
  await expectRefused(await asked(), code);
});

test.each<[string, string, number[]]>([
  ["names that are no names", "2.5.29.17", [0x30, 0x02, 0x87, 0x00]],
  ["names of an address that has three bytes", "2.5.29.17", [0x30, 0x05, 0x87, 0x03, 1, 2, 3]],
  ["names that are a number", "2.5.29.17", [0x02, 0x01, 0x01]],
  ["key usages that are a number", "2.5.29.15", [0x02, 0x01, 0x01]],
  ["key usages that are cut off", "2.5.29.15", [0x03, 0x05, 0x00]],
  ["key usages that are nothing", "2.5.29.15", []],
  ["further usages that are a number", "2.5.29.37", [0x02, 0x01, 0x01]],
  ["a constraint that is a number", "2.5.29.19", [0x02, 0x01, 0x01]],
])("a certificate with %s is refused, and on record", async (_, type, bytes) => {
  authority.leaf = (wish) => instead(wish, new Extension(type, false, new Uint8Array(bytes)));
  const { command, deliver } = await asked();
  const done = await act(command);
  expect(done).toMatchObject({ result: "failed", changed: [{ what: "certificate" }] });
  expect(done.code).toMatch(/^issued-other-(chain|names)$/);
  expect([done.certificate?.length, existsSync(deliver)]).toEqual([2, false]);
});

test("a serial number of any length leaves an outcome that fits its entry", async () => {
  authority.leaf = (wish) => ({ ...wish, serialNumber: `1${"0".repeat(4999)}` });
  const done = await act((await asked()).command);
  expect(done.changed).toEqual([{ what: "certificate", from: null, to: `1${"0".repeat(127)}` }]);
});

test("one that is valid for less than the rule permits is not, although the authority decides", async () => {
  await expectRefused(await asked({ validity: 30 * DAY }), "issued-other-validity", { min: 7 * DAY });
});

test("one of the length that was asked is, to the second", async () => {
  authority.leaf = (wish) => ({ ...wish, from: -1000, until: DAY * 1000 - 2000 });
  const { command } = await asked({ validity: DAY });
  const found = await see(command);
  const done = await act(command, {}, { ...errand(), validity: { min: DAY - 60, max: DAY } }, found);
  expect(done).toMatchObject({ result: "succeeded" });
});

test.each<[string, (good: string, made: Parameters<Authority["chain"]>[1]) => string | Promise<string>]>([
  ["without what signed it", (_, { leaf }) => pem(leaf)],
  ["in another order", (_, { leaf, inter }) => pem(inter, leaf)],
  ["with the root of somebody else above", (_, { leaf, root: own }) => pem(leaf, own)],
])("a chain %s is refused", async (_, chain) => {
  authority.chain = (good, made) => chain(good, made) as string;
  const { command, deliver } = await asked();
  expect(await act(command)).toMatchObject({ result: "failed", code: "issued-other-chain" });
  expect(existsSync(deliver)).toBe(false);
});

test("a chain that leads to another root than the config's is refused, and its own links are not enough", async () => {
  const other = join(mkdtempSync(join(root, "other-")), "issuers.pem");
  writeFileSync(other, pem(await makeAuthority(null, "CN=Issuing root")));
  const { command } = await asked({ acme: { issued_by: other } });
  expect(await act(command)).toMatchObject({ result: "failed", code: "issued-other-chain" });
});

test("a leaf that somebody else's key signed under the authority's name is refused", async () => {
  authority.chain = (_, { inter, root: own }) => forged.replace("INTER", pem(inter)).replace("ROOT", pem(own));
  const liar = await makeAuthority(null, "CN=Issuing intermediate");
  const forged = `${pem(await certificate(liar, { subject: "", extensions: [dns(...NAMES)] }))}INTER`;
  const { command } = await asked();
  expect(await act(command)).toMatchObject({ result: "failed", code: "issued-other-chain" });
});

test.each<[string, (good: string) => string]>([
  ["text beside it", (good) => `Bag Attributes\n${good}`],
  ["a private key in it", (good) => `${good}-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n`],
  ["nothing in it", () => ""],
  [
    "eleven certificates",
    (good) => `${good}${`${good.split("-----END CERTIFICATE-----\n")[0]}-----END CERTIFICATE-----\n`.repeat(9)}`,
  ],
])("an answer with %s is no chain, and what was issued is unknown", async (_, chain) => {
  authority.chain = chain;
  const { command, deliver } = await asked();
  const done = await act(command);
  expect(done).toMatchObject({ result: "unknown", certificate: null });
  expect(["malformed", "certificate-unreadable"]).toContain(done.code ?? "");
  expect(existsSync(deliver)).toBe(false);
});

test("what is handed over is the whole chain, the leaf first", async () => {
  const { command, deliver } = await asked();
  const done = await act(command);
  const blocks =
    readFileSync(deliver, "utf8").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  expect(blocks.map((block) => new X509Certificate(block).raw.toString("base64"))).toEqual([
    ...(done.certificate ?? []),
  ]);
  expect(blocks).toHaveLength(2);
});
