import { afterEach, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serialOf } from "../../providers/leaf.ts";
import { openssl, verifies } from "../aws/world/requests.ts";
import { gateFor } from "../providers/world.ts";
import { came } from "./account.ts";
import { act, begin, caught, certificateArgs, endAll, errand, issuing, recall, see } from "./fixture.ts";

afterEach(endAll);

const SIGN = "Microsoft.KeyVault/vaults/keys/sign/action";
const pem = (der = "") =>
  `-----BEGIN CERTIFICATE-----\n${der.replace(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE-----\n`;

test.each(["P-256", "P-384", "RSA"] as const)(
  "a certificate that OpenSSL accepts, signed by the vault's %s key, delivered with its chain",
  async (keyType) => {
    const { world, provider, folder } = await begin({ keyType });
    const deliver = join(folder, "a.crt");
    const own = errand();
    const done = await act(issuing(provider, certificateArgs(world, { deliver })), {}, own);
    expect([done.result, done.code, done.changed]).toEqual([
      "succeeded",
      null,
      [{ what: "certificate", from: null, to: serialOf(own.id) }],
    ]);
    const [leaf = "", root = ""] = (done.certificate ?? []).map(pem);
    expect(verifies(leaf, root, "sslserver", "a.example.com")).toBe(true);
    expect(verifies(leaf, root, "sslclient", "a.example.com")).toBe(false);
    const shown = openssl(["x509", "-noout", "-serial"], leaf).out.trim().replace("serial=", "0x");
    expect(BigInt(shown)).toBe(BigInt(`0x${serialOf(own.id)}`));
    const delivered = readFileSync(deliver, "utf8");
    expect(delivered.replace(/\s/g, "")).toBe(`${leaf}${root}`.replace(/\s/g, ""));
    expect(
      await recall(issuing(provider, certificateArgs(world, { deliver })), { subject: "CN=clients" }, own),
    ).toMatchObject({ result: "unknown", code: "issued-other" });
  },
);

test("the digest is of what was built here: the vault sees nothing else, and signs with the version that the config names", async () => {
  const { world, provider } = await begin();
  await act(issuing(provider, certificateArgs(world)));
  const [made] = came(world, SIGN);
  expect(made?.path).toBe(`/keys/clients/${world.vault.version}/sign`);
  expect(Object.keys(made?.body as object).sort()).toEqual(["alg", "value"]);
});

test.each([
  ["disabled", (world) => Object.assign(world.vault.switches, { disabled: true }), "authority-disabled"],
  ["not for signing", (world) => Object.assign(world.vault.switches, { operations: ["verify"] }), "authority-key"],
  ["another than the certificate's", (world) => Object.assign(world.vault.switches, { other: true }), "authority-key"],
] as [string, (world: Awaited<ReturnType<typeof begin>>["world"]) => void, string][])(
  "a key that is %s signs nothing",
  async (_, change, status) => {
    const { world, provider } = await begin();
    change(world);
    expect(await caught(see(issuing(provider, certificateArgs(world))))).toMatchObject({ status });
    expect(came(world, SIGN)).toEqual([]);
  },
);

test("a chain that is not there, or is none, is said; an authority that the config or the vault does not have is missing", async () => {
  const { world, provider, chain } = await begin();
  writeFileSync(chain, "no certificate");
  expect(await caught(see(issuing(provider, certificateArgs(world))))).toMatchObject({
    status: "certificate-unreadable",
  });
  rmSync(chain);
  expect(await caught(see(issuing(provider, certificateArgs(world))))).toMatchObject({ status: "chain-unreadable" });
  writeFileSync(chain, world.vault.certificate);
  world.vault.switches.absent = true;
  const args = certificateArgs(world);
  const { action, resource } = issuing(provider, args);
  expect(await action.describe(gateFor(action, args, resource).gate, args, errand())).toHaveProperty("missing");
  const other = certificateArgs(world, { authority: "prod-eu-1-ca/other" });
  expect(await action.describe(gateFor(action, other, "prod-eu-1-ca/other").gate, other, errand())).toHaveProperty(
    "missing",
  );
});

test("a signature of another key makes no certificate of this authority: it is on record, and not delivered", async () => {
  const { world, provider, folder } = await begin();
  const deliver = join(folder, "a.crt");
  world.at(SIGN, "before", () => {
    world.vault.switches.other = true;
  });
  const done = await act(issuing(provider, certificateArgs(world, { deliver })));
  expect([done.result, done.code, done.certificate?.length]).toEqual(["failed", "issued-other-chain", 2]);
  expect(() => readFileSync(deliver)).toThrow();
});

test("a signature whose answer was lost is asked for again, of the same bytes: the same certificate", async () => {
  const { world, provider } = await begin();
  const rule = world.fault(SIGN, { kind: "drop", when: "after" });
  const done = await act(issuing(provider, certificateArgs(world)));
  expect([done.result, rule.hits]).toEqual(["succeeded", 1]);
  expect(new Set(world.vault.signed.map((digest) => digest.toString("hex"))).size).toBe(1);
  expect(world.vault.signed).toHaveLength(2);
});

test("where no signature ever comes it is unknown, and nobody has a certificate", async () => {
  const { world, provider } = await begin();
  world.fault(SIGN, { kind: "drop", when: "after" }, { times: 9 });
  const own = errand();
  expect(await act(issuing(provider, certificateArgs(world)), {}, own)).toMatchObject({
    result: "unknown",
    code: "reset",
    certificate: null,
  });
  expect(await recall(issuing(provider, certificateArgs(world)), { subject: "CN=clients" }, own)).toMatchObject({
    result: "unknown",
    code: "signed-or-not",
    known_by: "state",
    certificate: null,
  });
});

test("a request that is not signed by its own key, or with more in its subject than one name, is not signed", async () => {
  const { world, provider } = await begin();
  const args = certificateArgs(world);
  const broken = Uint8Array.from(args.csrDer);
  broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
  expect(await act(issuing(provider, { ...args, csrDer: broken }))).toMatchObject({
    result: "failed",
    code: "csr-signature",
  });
  expect(came(world, SIGN)).toEqual([]);
});

test("after a crash: what was issued and not delivered is said so; what lies on the disk is judged again", async () => {
  const { world, provider, folder } = await begin();
  const args = certificateArgs(world, { deliver: join(folder, "never/a.crt") });
  const own = errand();
  const done = await act(issuing(provider, args), {}, own);
  expect([done.result, done.certificate?.length]).toEqual(["failed", 2]);
  const found = { subject: "CN=clients" };
  expect(await recall(issuing(provider, args), found, own)).toMatchObject({
    result: "failed",
    code: "not-delivered",
    certificate: done.certificate,
  });
  mkdirSync(join(folder, "never"));
  writeFileSync(join(folder, "never/a.crt"), readFileSync(join(folder, "state/issued", own.id)));
  expect(await recall(issuing(provider, args), found, own)).toMatchObject({
    result: "succeeded",
    code: null,
    certificate: done.certificate,
  });
  // In its place the certificate of another command that asked for the very same: the serial number tells.
  const second = errand();
  await act(issuing(provider, args), {}, second);
  writeFileSync(join(folder, "state/issued", own.id), readFileSync(join(folder, "state/issued", second.id)));
  expect(await recall(issuing(provider, args), found, own)).toMatchObject({ result: "unknown", code: "issued-other" });
  // And what is no certificate, or one that does not decode: nothing is claimed of it, and the agent does not end over it.
  const whole = readFileSync(join(folder, "state/issued", second.id), "utf8");
  for (const broken of [
    "",
    "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    whole.replace(/MII/, "MIA"),
  ]) {
    writeFileSync(join(folder, "state/issued", own.id), broken);
    expect(await recall(issuing(provider, args), found, own)).toMatchObject({
      result: "unknown",
      code: "issued-other",
    });
  }
});
