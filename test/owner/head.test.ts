import "reflect-metadata";
import { beforeAll, expect, test } from "bun:test";
import { createPrivateKey, sign, webcrypto } from "node:crypto";
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import { lookAtHead } from "../../agent/owner/head.ts";
import { type HeadSource, ownersHead } from "../../agent/owner/putHead.ts";
import { type HeadClaims, openHead, signHead } from "../../agent/wire/head.ts";
import { logOrigin } from "../../agent/wire/names.ts";
import type { History } from "../../policy/asked.ts";
import { BucketFailed } from "../../providers/bucket.ts";
import { away, memoryBucket, stillClock } from "../bucket/memory.ts";

const AGENT = "spiffe://vendor.example/cluster/prod-eu-1/agent";
const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const SIGNAL = new AbortController().signal;

type Cast = { readonly chain: readonly string[]; sign(bytes: Uint8Array): Uint8Array; readonly root: Uint8Array };
let cast: Cast;
let stranger: Cast;

async function castOf(name: string): Promise<Cast> {
  const pair = () => webcrypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const [ca, keys] = [await pair(), await pair()];
  const valid = { notBefore: new Date(1_799_000_000_000), notAfter: new Date(1_801_000_000_000) };
  const root = await X509CertificateGenerator.createSelfSigned({
    ...valid,
    keys: ca,
    name: "CN=root",
    signingAlgorithm: P256,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  const leaf = await X509CertificateGenerator.create({
    ...valid,
    publicKey: keys.publicKey,
    signingKey: ca.privateKey,
    issuer: root.subject,
    subject: "",
    signingAlgorithm: P256,
    extensions: [new SubjectAlternativeNameExtension([{ type: "url", value: name }])],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return {
    chain: [leaf, root].map(({ rawData }) => Buffer.from(rawData).toString("base64")),
    sign: (bytes) => new Uint8Array(sign("sha256", bytes, { key, dsaEncoding: "ieee-p1363" })),
    root: new Uint8Array(root.rawData),
  };
}

beforeAll(async () => {
  [cast, stranger] = [await castOf(AGENT), await castOf(AGENT)];
});

/** An agent of an epoch with a log of so many entries, on a bucket. */
function agentOn(memory: ReturnType<typeof memoryBucket>, epoch: number, size = 10, since: number | null = null) {
  const clock = stillClock();
  const intents = new Map<string, number[]>();
  const ends: string[] = [];
  const source: HeadSource & { size: number } = {
    clock,
    agentId: AGENT,
    cluster: "prod-eu-1",
    epoch,
    size,
    roots: () => [cast.root],
    chain: () => cast.chain,
    sign: cast.sign,
    rootAt: () => null,
    checkpoint: () => `${logOrigin(AGENT, epoch)}\n${source.size}\nAAAA\n`,
    history: () => ({ intents, since, revision: 3 }),
    waiting: () => [],
    another: (because) => ends.push(because),
  };
  const start = async () => ownersHead(memory.bucket, source, await lookAtHead(memory.bucket, source, SIGNAL));
  const intend = (rule: string, time: number) => intents.set(rule, [...(intents.get(rule) ?? []), time]);
  const own = (): History => source.history();
  return { source, clock, intents, ends, start, intend, own };
}

function headIn(memory: ReturnType<typeof memoryBucket>): HeadClaims {
  const text = new TextDecoder().decode(memory.objects.get("log/head")?.bytes);
  const opened = openHead(text, { agentId: AGENT, cluster: "prod-eu-1", roots: [cast.root] });
  if ("bad" in opened) throw new Error(opened.bad);
  return opened.head;
}

const NOW = 1_800_000_000_000;

test("the next machine counts in its rates what the one before did, and remembers the revision", async () => {
  const memory = memoryBucket();
  const first = agentOn(memory, 1);
  const head = await first.start();
  first.intend("brokers-grow", NOW - 5000);
  expect(await head.put()).toBeNull();
  first.intend("brokers-grow", NOW - 1000);
  expect(await head.put()).toBeNull();

  const second = agentOn(memory, 2, 1, NOW);
  const next = await second.start();
  second.intend("brokers-grow", NOW + 1);
  expect(next.history(second.own())).toEqual({
    intents: new Map([["brokers-grow", [NOW - 5000, NOW - 1000, NOW + 1]]]),
    since: null,
    revision: 3,
  });
  expect(await next.put()).toBeNull();
  // A third, after a second that was replaced too: all three count.
  const third = agentOn(memory, 3, 1, NOW + 2);
  expect((await third.start()).history(third.own()).intents.get("brokers-grow")?.length).toBe(3);
  // And the second, started again, counts its own once.
  const again = agentOn(memory, 2, 5, NOW);
  again.intend("brokers-grow", NOW + 1);
  expect((await again.start()).history(again.own()).intents.get("brokers-grow")?.length).toBe(3);
});

test("without a head that can be read, everything before the enrolment counts as used up", async () => {
  for (const prepare of [
    () => undefined,
    (memory: ReturnType<typeof memoryBucket>) => memory.put("log/head", "no head"),
    (memory: ReturnType<typeof memoryBucket>) =>
      memory.faults.push({ of: "get", done: false, error: new BucketFailed("denied", "403", "") }),
    (memory: ReturnType<typeof memoryBucket>) => memory.faults.push({ of: "get", done: false, error: away() }),
  ]) {
    const memory = memoryBucket();
    prepare(memory);
    const agent = agentOn(memory, 2, 1, NOW);
    expect((await agent.start()).history(agent.own())).toEqual({ intents: new Map(), since: NOW, revision: 3 });
  }
});

test("an agent of an epoch before is ended by the bucket alone, before it changes anything", async () => {
  const memory = memoryBucket();
  const older = agentOn(memory, 1);
  const olderHead = await older.start();
  expect(await olderHead.put()).toBeNull();
  const newer = agentOn(memory, 2, 1, NOW);
  expect(await (await newer.start()).put()).toBeNull();
  expect(await olderHead.put()).toContain("epoch 2");
  expect(older.ends).toEqual(["the owner's bucket has the head of epoch 2: another agent acts"]);
  expect(headIn(memory).epoch).toBe(2);
});

test("a newer agent writes over the head that an older one put meanwhile, and counts what it names", async () => {
  const memory = memoryBucket();
  const older = agentOn(memory, 1);
  const olderHead = await older.start();
  const newer = agentOn(memory, 2, 1, NOW);
  const newerHead = await newer.start();
  older.intend("brokers-grow", NOW - 7);
  expect(await olderHead.put()).toBeNull();
  // What was judged did not count it: this command is not begun, the next one is judged with it.
  expect(await newerHead.put()).toBe("the owner's bucket told of more than this was judged by");
  expect(await newerHead.put()).toBeNull();
  expect(newerHead.history(newer.own()).intents.get("brokers-grow")).toEqual([NOW - 7]);
  expect(newer.ends).toEqual([]);
  expect(headIn(memory)).toMatchObject({ epoch: 2, before: { "brokers-grow": [NOW - 7] } });
});

test("a head that was put and not heard of is known again as our own", async () => {
  const memory = memoryBucket();
  const agent = agentOn(memory, 1);
  const head = await agent.start();
  expect(await head.put()).toBeNull();
  memory.faults.push({ of: "putHead", done: true, error: away() });
  expect(await head.put()).toBe("no answer (timeout)");
  expect(await head.put()).toBeNull();
  memory.faults.push({ of: "putHead", done: false, error: away() });
  expect(await head.put()).toBe("no answer (timeout)");
  expect(await head.put()).toBeNull();
  expect(agent.ends).toEqual([]);
});

test("of two processes of one epoch, a copy of the machine among them, one is ended", async () => {
  const memory = memoryBucket();
  const one = agentOn(memory, 1);
  const copy = agentOn(memory, 1);
  const heads = [await one.start(), await copy.start()] as const;
  expect(await heads[0].put()).toBeNull();
  // The copy takes it for its own of before its start: it has put none yet.
  expect(await heads[1].put()).toBeNull();
  expect(await heads[0].put()).toContain("another process of this very epoch");
  expect([one.ends.length, copy.ends.length]).toEqual([1, 0]);
});

test("a log that is shorter than the bucket has seen, or has another head, is not the one that it was", async () => {
  const memory = memoryBucket();
  const agent = agentOn(memory, 1, 10);
  await (await agent.start()).put();
  const restored = agentOn(memory, 1, 9);
  expect(await (await restored.start()).put()).toContain("has seen 10 entries of this log, which now has 9");
  expect(restored.ends.length).toBeGreaterThan(0);
  const forked = agentOn(memory, 1, 12);
  await ownersHead(
    memory.bucket,
    forked.source,
    await lookAtHead(memory.bucket, { ...forked.source, rootAt: () => "BBBB" }, SIGNAL),
  );
  expect(forked.ends).toEqual(["the owner's bucket has another head of this log than this log itself"]);
});

test("a head is put before each change: what cannot be put lets nothing be changed, and is tried anew with the next", async () => {
  const memory = memoryBucket();
  const agent = agentOn(memory, 1);
  memory.faults.push({ of: "get", done: false, error: away() });
  const head = await agent.start();
  memory.faults.push({ of: "get", done: false, error: away("no answer (dns)") });
  expect(await head.put()).toBe("no answer (dns)");
  expect(await head.put()).toBeNull();
  memory.faults.push({ of: "putHead", done: false, error: new BucketFailed("denied", "S3 answered 403", "") });
  expect(await head.put()).toBe("S3 answered 403");
});

test("a policy older than an earlier epoch saw is not acted on, though the head could not be read at the start", async () => {
  const memory = memoryBucket();
  expect(await (await agentOn(memory, 1).start()).put()).toBeNull();
  const next = agentOn(memory, 2, 1, NOW);
  memory.faults.push({ of: "get", done: false, error: away() });
  const head = await next.start();
  const own = (): History => ({ ...next.own(), revision: 0 });
  expect(head.history(own()).revision).toBe(0);
  expect(await head.put()).toBe("the owner's bucket told of more than this was judged by");
  expect(head.history(own()).revision).toBe(3);
});

test("a head that its owner took away is put anew, and so is one that went for a moment", async () => {
  const memory = memoryBucket();
  const agent = agentOn(memory, 1);
  const head = await agent.start();
  expect(await head.put()).toBeNull();
  memory.remove("log/head");
  expect(await head.put()).toBeNull();
  memory.remove("log/head");
  memory.faults.push({ of: "putHead", done: false, error: new BucketFailed("denied", "S3 answered 403", "") });
  expect(await head.put()).toBe("S3 answered 403");
  expect(await head.put()).toBeNull();
  expect(agent.ends).toEqual([]);
});

test("commands at the same time share a head, and none gets one that was made before it asked", async () => {
  const memory = memoryBucket();
  const agent = agentOn(memory, 1);
  const head = await agent.start();
  const before = memory.asked.length;
  const running = head.put();
  agent.intend("brokers-grow", NOW);
  expect(await Promise.all([running, head.put(), head.put(), head.put()])).toEqual([null, null, null, null]);
  expect(headIn(memory).intents).toEqual({ "brokers-grow": [NOW] });
  expect(memory.asked.length).toBe(before);
});

test("a head is opened only as it was signed, by an agent of this cluster, under a root that is trusted", () => {
  const claims: HeadClaims = {
    v: 1,
    cluster: "prod-eu-1",
    epoch: 2,
    time: NOW,
    size: 4,
    checkpoint: `${logOrigin(AGENT, 2)}\n4\nAAAA\n`,
    revision: 1,
    intents: {},
    before: {},
    since: null,
    waiting: [],
  };
  const at = { agentId: AGENT, cluster: "prod-eu-1", roots: [cast.root] };
  const text = signHead(claims, cast.chain, cast.sign);
  expect(openHead(text, at)).toEqual({ head: claims });
  const bad = (of: string, where = at): string => {
    const opened = openHead(of, where);
    return "bad" in opened ? opened.bad : "opened";
  };
  expect(bad(signHead(claims, stranger.chain, stranger.sign))).toContain("does not end in a trusted root");
  expect(bad(signHead(claims, cast.chain, stranger.sign))).toBe("its signature does not hold");
  expect(bad(text, { ...at, agentId: `${AGENT}2` })).toBe("it is another cluster's");
  expect(bad(signHead({ ...claims, cluster: "prod-eu-2" }, cast.chain, cast.sign))).toBe("it is another cluster's");
  expect(bad(signHead({ ...claims, epoch: 3 }, cast.chain, cast.sign))).toBe("its checkpoint is another log's");
  expect(bad(signHead({ ...claims, size: 3 }, cast.chain, cast.sign))).toBe("its checkpoint is another log's");
  expect(bad(signHead({ ...claims, time: 1_802_000_000_000 }, cast.chain, cast.sign))).toBe("its certificate: expired");
  const parts = text.split(".");
  expect(bad(parts.slice(0, 2).join("."))).toBe("it is no head");
  const payload = Buffer.from(JSON.stringify({ ...claims, more: 1 })).toString("base64url");
  expect(bad([parts[0], payload, parts[2]].join("."))).toBe("its words are none that a head has");
  for (let at = 0; at < text.length; at += 7)
    expect(bad(`${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`)).not.toBe("opened");
});
