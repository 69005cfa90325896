import { afterEach, beforeEach, expect, test } from "bun:test";
import { verify, X509Certificate } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Successor } from "../../agent/identity/identity.ts";
import { leave } from "../../agent/identity/leave.ts";
import { ReportAnswer } from "../../agent/wire/protocol.ts";
import {
  AGENT,
  commandKey,
  countingServer,
  HOUR,
  jws,
  makeCa,
  makeLeaf,
  pinOf,
  sha256,
  trustStatement,
} from "./plane.ts";
import { enrolled, faulted, makeWorld, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());
const IP = { type: "ip", value: "127.0.0.1" } as const;

test("a token becomes a durable identity, and its file is gone", async () => {
  const token = await world.placeToken();
  const before = Date.now();
  const identity = enrolled(await world.start());
  expect(identity.agentId).toBe(AGENT);
  expect(identity.epoch).toBe(1);
  expect(identity.enrolledAtMs).toBeGreaterThanOrEqual(before);
  expect(identity.trustVersion()).toBe(1);
  expect([...identity.commandKeys()]).toEqual([["cmd-1", world.plane.first.x]]);
  expect(existsSync(world.tokenFile)).toBe(false);
  expect(readdirSync(world.identityFolder).sort()).toEqual(["agent.json", "root.pem"]);
  expect(statSync(world.identityFolder).mode & 0o777).toBe(0o700);
  for (const name of ["agent.json", "root.pem"]) {
    expect(statSync(join(world.identityFolder, name)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(world.identityFolder, name), "utf8")).not.toContain(token);
  }
  expect(world.plane.bodies.join("")).not.toContain("PRIVATE");
  const again = enrolled(await world.start());
  expect(again.chain()).toEqual(identity.chain());
  expect(again.logKeys.current).toBe(identity.logKeys.current);
});

test("what the identity signs verifies under its leaf, and its session is heard", async () => {
  await world.placeToken();
  const identity = enrolled(await world.start());
  const leaf = new X509Certificate(Buffer.from(identity.chain()[0] ?? "", "base64"));
  const signature = identity.sign(Buffer.from("binding"));
  expect(signature.length).toBe(64);
  expect(verify("sha256", Buffer.from("binding"), { key: leaf.publicKey, dsaEncoding: "ieee-p1363" }, signature)).toBe(
    true,
  );
  const said = await identity.session.post("/v1/reports", { from: 0 }, ReportAnswer, { timeoutSeconds: 5 });
  expect(said).toEqual({ ok: { next: 7 } });
  expect(identity.logKeys.privateKey(identity.logKeys.current)?.asymmetricKeyType).toBe("ed25519");
});

test("a systemd credential is taken as well, and left to systemd", async () => {
  const token = await world.plane.token();
  writeFileSync(join(world.folder, "reeve-token"), token, { mode: 0o440 });
  const config = world.config({ token: { credential: "reeve-token" } });
  expect(faulted(await world.start({ config })).fault).toBe("token-missing");
  enrolled(await world.start({ config, credentials: world.folder }));
  expect(existsSync(join(world.folder, "reeve-token"))).toBe(true);
});

test("a token file that others can read is refused with exit 4 and its path", async () => {
  const token = await world.plane.token();
  writeFileSync(world.tokenFile, token, { mode: 0o644 });
  const fault = faulted(await world.start());
  expect(fault).toMatchObject({ fault: "token-permission", exit: 4 });
  expect(fault.message).toContain(world.tokenFile);
  expect(world.plane.connections).toBe(0);
});

const badTokens = {
  "an expired one": { claims: { iat: 1_700_000_000, exp: 1_700_003_600 }, fault: "token-expired" },
  "one for another cluster": { claims: { sub: "prod-us-2" }, fault: "token-form" },
  "one for another address": { claims: { url: "https://elsewhere.example:1" }, fault: "token-form" },
  "one that lives over a day": { claims: { exp: Math.floor(Date.now() / 1000) + 90_000 }, fault: "token-form" },
} as const;
for (const [what, { claims, fault }] of Object.entries(badTokens)) {
  test(`a token is refused before anything is sent: ${what}`, async () => {
    await world.placeToken(claims);
    expect(faulted(await world.start())).toMatchObject({ fault, exit: 6 });
    // Of one that looks expired the control plane's time is asked for; the token itself goes nowhere.
    expect([world.plane.bodies, world.plane.connections > 0]).toEqual([[], fault === "token-expired"]);
    expect(existsSync(world.tokenFile)).toBe(true);
  });
}

test("a wrong pin is refused with both digests, and the token was not sent", async () => {
  await world.placeToken({ sha: "ab".repeat(32) });
  const fault = faulted(await world.start());
  expect(fault).toMatchObject({ fault: "pin", exit: 6 });
  expect(fault.message).toContain("ab".repeat(32));
  expect(fault.message).toContain(sha256(world.plane.ca.der));
  expect(world.plane.bodies).toEqual([]);
});

test("a config that names another root than the token is refused before any connection", async () => {
  await world.placeToken();
  const control_plane = {
    enrol: world.plane.url,
    trust_sha256: pinOf(world.plane.first),
    root_sha256: "cd".repeat(32),
  };
  expect(faulted(await world.start({ config: world.config({ control_plane }) })).fault).toBe("pin");
  expect(world.plane.connections).toBe(0);
});

/** Servers that are not the pinned one; each sees zero application bytes. */
const impostors = {
  "another CA": async () => {
    const ca = await makeCa("another root");
    return { leaf: await makeLeaf(ca, { san: IP }), sent: [ca], fault: "pin" };
  },
  "no root shown": async () => ({ leaf: await makeLeaf(world.plane.ca, { san: IP }), sent: [], fault: "pin" }),
  "another name": async () => ({
    leaf: await makeLeaf(world.plane.ca, { san: { type: "dns", value: "other.example" } }),
    sent: [world.plane.ca],
    fault: "server",
  }),
  "an expired certificate": async () => ({
    leaf: await makeLeaf(world.plane.ca, { san: IP, from: Date.now() - 2 * HOUR, until: Date.now() - HOUR }),
    sent: [world.plane.ca],
    fault: "server",
  }),
  "a rogue leaf beside the genuine root": async () => ({
    // Same issuer name, another key: a digest check of the root alone passes.
    leaf: await makeLeaf(await makeCa("reeve test root"), { san: IP }),
    sent: [world.plane.ca],
    fault: "server",
  }),
};
for (const [what, make] of Object.entries(impostors)) {
  test(`a server is refused before anything is sent: ${what}`, async () => {
    const { leaf, sent, fault } = await make();
    const server = await countingServer(leaf, sent);
    await world.placeToken({ url: server.url });
    const control_plane = { enrol: server.url, trust_sha256: pinOf(world.plane.first) };
    expect(faulted(await world.start({ config: world.config({ control_plane }) }))).toMatchObject({ fault, exit: 6 });
    await Bun.sleep(50);
    expect(server.connections).toBeGreaterThan(0);
    expect(server.bytes).toBe(0);
    server.close();
  });
}

test("the counting server does count: the genuine one's twin gets bytes", async () => {
  const leaf = await makeLeaf(world.plane.ca, { san: IP });
  const server = await countingServer(leaf, [world.plane.ca]);
  const line = await (await import("../../agent/host/network.ts"))
    .realNetwork({ proxy: null, direct: new Set() })
    .connect({ url: server.url, roots: [world.plane.ca.pem], client: null }, { timeoutSeconds: 2 });
  expect("unreachable" in line).toBe(false);
  await Bun.sleep(50);
  expect(server.bytes).toBeGreaterThan(0);
  if (!("unreachable" in line)) line.close();
  server.close();
});

test("NODE_TLS_REJECT_UNAUTHORIZED=0 does not let a rogue leaf in", async () => {
  const server = await countingServer(await makeLeaf(await makeCa("reeve test root"), { san: IP }), [world.plane.ca]);
  const code = `import { realNetwork } from "./agent/host/network.ts";
    const line = await realNetwork({ proxy: null, direct: new Set() }).connect({ url: process.argv[1], roots: [process.argv[2]], client: null }, { timeoutSeconds: 2 });
    console.log("unreachable" in line ? line.unreachable : "let in"); process.exit(0);`;
  const child = Bun.spawn([process.execPath, "-e", code, server.url, world.plane.ca.pem], {
    cwd: join(import.meta.dir, "../.."),
    env: { PATH: process.env["PATH"] ?? "", NODE_TLS_REJECT_UNAUTHORIZED: "0" },
    stderr: "ignore",
  });
  expect(await new Response(child.stdout).text()).toStartWith("tls: ");
  expect(server.bytes).toBe(0);
  server.close();
});

test("an address that nobody answers at is exit 5, and the token stays", async () => {
  await world.placeToken({ url: "https://127.0.0.1:9" });
  const control_plane = { enrol: "https://127.0.0.1:9", trust_sha256: pinOf(world.plane.first) };
  const fault = faulted(await world.start({ config: world.config({ control_plane }) }));
  expect(fault).toMatchObject({ fault: "unreachable", exit: 5 });
  expect(fault.message).toContain("refused");
  expect(existsSync(world.tokenFile)).toBe(true);
});

test("a lost answer is asked for again with the same key, and gets the same certificate", async () => {
  await world.placeToken();
  world.plane.lose = 1;
  expect(faulted(await world.start()).exit).toBe(5);
  const issued = world.plane.current?.chain;
  const began = Date.now();
  await Bun.sleep(5);
  const identity = enrolled(await world.start());
  expect([...identity.chain()]).toEqual([...(issued ?? [])]);
  expect(world.plane.enrolKeys.size).toBe(1);
  expect(world.plane.thefts).toBe(0);
  // Commands of this epoch may have been made since the first try.
  expect(identity.enrolledAtMs).toBeLessThanOrEqual(began);
});

test("a token used at once from two machines: one joins, the other hears of theft", async () => {
  const token = await world.placeToken();
  const other = await makeWorld();
  try {
    writeFileSync(other.tokenFile, token, { mode: 0o600 });
    const results = await Promise.all([
      world.start(),
      other.start({ config: { ...world.config(), state: other.config().state, token: { file: other.tokenFile } } }),
    ]);
    const faults = results.filter((result) => "fault" in result);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatchObject({ fault: "token-theft", exit: 6 });
    expect(faulted(faults[0] as never).message).toContain("used by another machine");
    expect(world.plane.thefts).toBe(1);
  } finally {
    other.end();
  }
});

for (const [code, fault, exit] of [
  ["token-expired", "token-expired", 6],
  ["token-burnt", "token-burnt", 6],
  ["token-invalid", "token-refused", 6],
  ["fenced", "fenced", 6],
  ["unavailable", "unavailable", 5],
  ["csr-invalid", "refused", 6],
] as const) {
  test(`the control plane's ${code} ends in ${fault}, in our words`, async () => {
    await world.placeToken();
    world.plane.script = (path) =>
      path === "/v1/enroll" ? { status: 403, body: { code, message: "\u001b[31mred" } } : null;
    const result = faulted(await world.start());
    expect(result).toMatchObject({ fault, exit });
    expect(result.message).not.toContain("\u001b");
    expect(result.hint).not.toBe("");
  });
}

const badAnswers: Record<string, () => unknown> = {
  "a redirect": () => ({ status: 302, body: "{}", headers: { location: "https://127.0.0.1:9/" } }),
  "not JSON": () => ({ status: 200, body: "<html>" }),
  "an unknown field": () => ({
    status: 200,
    body: { chain: [], trust: [], epoch: 1, enrolled_at: 1, agents_url: "", more: 1 },
  }),
  "over a megabyte": () => ({ status: 200, body: " ".repeat(2_000_000) }),
  compressed: () => ({ status: 200, body: "{}", headers: { "content-encoding": "gzip" } }),
  "another type": () => ({ status: 200, body: "{}", headers: { "content-type": "text/html" } }),
};
for (const [what, reply] of Object.entries(badAnswers)) {
  test(`an answer is refused: ${what}`, async () => {
    await world.placeToken();
    world.plane.script = (path) => (path === "/v1/enroll" ? (reply() as never) : null);
    expect(faulted(await world.start())).toMatchObject({ fault: "answer", exit: 6 });
    expect(existsSync(join(world.identityFolder, "agent.json"))).toBe(false);
  });
}

test("a certificate of another key, name or root is not taken", async () => {
  await world.placeToken();
  const own = await makeLeaf(world.plane.ca, { san: { type: "url", value: AGENT } });
  const other = await makeCa("other");
  const b64 = (der: Uint8Array) => Buffer.from(der).toString("base64");
  world.plane.leafOptions = { san: { type: "url", value: `${AGENT}2` } };
  expect(faulted(await world.start()).message).toContain("another name");
  await world.placeToken();
  world.plane.leafOptions = {};
  world.plane.issuer = other;
  expect(faulted(await world.start()).message).toContain("does not end in a trusted root");
  await world.placeToken();
  world.plane.script = (path) =>
    path === "/v1/enroll"
      ? {
          status: 200,
          body: {
            chain: [b64(own.der), b64(world.plane.ca.der)],
            trust: [],
            epoch: 1,
            enrolled_at: 1,
            agents_url: world.plane.agentsUrl,
          },
        }
      : null;
  expect(faulted(await world.start()).message).toContain("another key");
});

test("trust is walked from the config's pin, all versions at once", async () => {
  const second = commandKey("cmd-2");
  world.plane.trust.push(trustStatement(2, world.plane.first, [second], [world.plane.ca.der]));
  await world.placeToken();
  const identity = enrolled(await world.start());
  expect(identity.trustVersion()).toBe(2);
  expect([...identity.commandKeys().keys()]).toEqual(["cmd-2"]);
});

test("a first statement by another key than the pinned one is refused, and so is a chain that breaks", async () => {
  const stranger = commandKey("cmd-x");
  world.plane.trust = [trustStatement(1, stranger, [stranger], [world.plane.ca.der])];
  await world.placeToken();
  expect(faulted(await world.start()).fault).toBe("trust");
  const { first, ca } = world.plane;
  world.plane.trust = [trustStatement(1, first, [first], [ca.der]), trustStatement(2, stranger, [stranger], [ca.der])];
  expect(faulted(await world.start()).fault).toBe("trust");
  world.plane.trust = [trustStatement(1, first, [first], [(await makeCa("elsewhere")).der])];
  expect(faulted(await world.start()).fault).toBe("trust");
  world.plane.trust = [trustStatement(1, first, [first], [ca.der])];
  enrolled(await world.start());
});

test("later trust: approve waits for the owner, automatic takes what the version before signed, durably", async () => {
  await world.placeToken();
  const { first, ca } = world.plane;
  const second = commandKey("cmd-2");
  const statement = trustStatement(2, first, [second], [ca.der]);
  const careful = enrolled(await world.start());
  const asked: Successor[] = [];
  const wait = (successor: Successor): boolean => {
    asked.push(successor);
    return false;
  };
  expect(await careful.acceptTrust([statement], wait)).toEqual({ accepted: [], refused: null });
  expect(asked[0]).toMatchObject({ version: 2, statement });
  expect(asked[0]?.changes.map((change) => change.split(" ").slice(0, 4).join(" "))).toEqual([
    "adds command key cmd-2",
    `drops command key ${first.kid}`,
  ]);
  expect(careful.trustVersion()).toBe(1);
  // What the version before did not sign is not put before the owner.
  await careful.acceptTrust([trustStatement(2, second, [second], [ca.der])], wait);
  expect(asked).toHaveLength(1);
  const config = world.config({ key_rotation: "automatic" });
  const automatic = enrolled(await world.start({ config }));
  const forged = await automatic.acceptTrust([trustStatement(2, second, [second], [ca.der])], () => false);
  expect(forged.refused?.refusal.code).toBe("trust.signature");
  expect(
    (await automatic.acceptTrust([statement], () => false)).accepted.map(({ version, keys }) => [version, keys]),
  ).toEqual([[2, ["cmd-2"]]]);
  expect(enrolled(await world.start({ config })).trustVersion()).toBe(2);
  const third = trustStatement(3, second, [second, first], [ca.der]);
  const approving = enrolled(await world.start());
  expect((await approving.acceptTrust([third], () => true)).accepted.map(({ version }) => version)).toEqual([3]);
  expect(enrolled(await world.start()).trustVersion()).toBe(3);
  // What version 2 does not name signs nothing any more.
  const late = await automatic.acceptTrust([trustStatement(3, first, [first], [ca.der])], () => false);
  expect(late.refused?.refusal.code).toBe("trust.signature");
});

test("an empty trust is taken at enrolment, and the first statement later by the pin", async () => {
  const statement = world.plane.trust.pop() ?? "";
  await world.placeToken();
  const identity = enrolled(await world.start());
  expect(identity.trustVersion()).toBe(0);
  const stranger = commandKey("cmd-1");
  const refused = await identity.acceptTrust(
    [trustStatement(1, stranger, [stranger], [world.plane.ca.der])],
    () => false,
  );
  expect(refused.refused?.refusal.code).toBe("trust.signature");
  expect((await identity.acceptTrust([statement], () => false)).accepted).toHaveLength(1);
  expect(identity.commandKeys().size).toBe(1);
});

test("once joined, another control plane, pin, root or cluster is refused until leave", async () => {
  await world.placeToken();
  enrolled(await world.start());
  const trust_sha256 = pinOf(world.plane.first);
  for (const change of [
    { control_plane: { enrol: "https://other.example:8443", trust_sha256 } },
    { control_plane: { enrol: world.plane.url, trust_sha256: pinOf(commandKey("x")) } },
    { control_plane: { enrol: world.plane.url, trust_sha256, root_sha256: "ef".repeat(32) } },
    { cluster: "prod-us-2" },
  ]) {
    const fault = faulted(await world.start({ config: world.config(change) }));
    expect(fault).toMatchObject({ fault: "joined-elsewhere", exit: 6 });
    expect(fault.hint).toContain("reeve leave");
  }
  leave(world.host, world.identityFolder);
  expect(readdirSync(world.identityFolder)).toEqual([]);
  expect(faulted(await world.start()).fault).toBe("token-missing");
});

test("a fenced agent does not start again until leave", async () => {
  await world.placeToken();
  enrolled(await world.start()).markFenced("a copy was seen", () => undefined);
  expect(faulted(await world.start())).toMatchObject({ fault: "fenced", exit: 6 });
  leave(world.host, world.identityFolder);
  await world.placeToken();
  enrolled(await world.start());
});

test("a token of another enrolment that lies there later is not touched", async () => {
  await world.placeToken();
  enrolled(await world.start());
  await world.placeToken();
  enrolled(await world.start());
  expect(existsSync(world.tokenFile)).toBe(true);
});

test("an unsigned token form or a header of another type is refused", async () => {
  const { generateKeyPairSync } = await import("node:crypto");
  const token = await world.plane.token();
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
  const other = jws({ alg: "Ed25519", typ: "JWT" }, claims, generateKeyPairSync("ed25519").privateKey);
  for (const text of [other, token.split(".").slice(0, 2).join("."), "", "x".repeat(8000)]) {
    writeFileSync(world.tokenFile, text, { mode: 0o600 });
    expect(faulted(await world.start()).fault).toBe("token-form");
  }
  expect(world.plane.connections).toBe(0);
});
