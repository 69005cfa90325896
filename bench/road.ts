import { generateKeyPairSync, sign } from "node:crypto";
import { closeSync, constants, fdatasyncSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Config } from "../agent/config.ts";
import { execute } from "../agent/execute.ts";
import { realHost } from "../agent/host/real.ts";
import { directoryFolder } from "../agent/owner/folder.ts";
import { policyReader } from "../agent/owner/policy.ts";
import { NO_BUCKET } from "../agent/owner/putHead.ts";
import { readSwitch } from "../agent/owner/switch.ts";
import type { Road } from "../agent/road.ts";
import { canonical } from "../agent/wire/canonical.ts";
import type { Provider, ScaleState } from "../providers/provider.ts";
import { type Effort, type Figure, inMilliseconds, inTurn, times } from "./figure.ts";
import { AGENT_ID, benchLog, CLUSTER } from "./log.ts";

const TARGET_OF_SYNCS = 2;
const GROUP = "brokers";
const POLICY = `version: 1
revision: 1
cluster: ${CLUSTER}
vendor: vendor.example
place: { cloud: local }
people: {}
signers: {}
share: []
dry_run: refused
rules:
  - id: brokers-grow
    why: More load.
    allow: scale
    group: ${GROUP}
    count: { min: 0, max: 9 }
    change: { up: 9, down: 9 }
    rate: 100000 per hour
    when: always
    approval: none
tests: []
`;

/** A place that answers at once: what is left is the road itself. Its calls pass the gate as every provider's do. */
function instantProvider(): Provider {
  let count = 3;
  const place = { host: "bench", region: "local", method: "none" };
  const never = (): never => {
    throw new Error("the bench only scales");
  };
  const none = {
    operations: [],
    places: never,
    describe: never,
    execute: never,
    reconcile: never,
  };
  return {
    name: "local",
    ownGroups: [],
    prove: null,
    bucket: null,
    probe: async () => [],
    "issue-certificate": none,
    "update-dns": none,
    scale: {
      operations: [
        { operation: "bench.read", kind: "read", method: place.method },
        { operation: "bench.change", kind: "change", method: place.method },
      ],
      places: () => [place],
      async describe(gate) {
        const state = await gate.call<ScaleState>("bench.read", GROUP, async (leave) => {
          leave(place, "writing");
          return { value: { count }, request: null };
        });
        return { state };
      },
      async execute(gate, args) {
        const from = count;
        await gate.call("bench.change", GROUP, async (leave) => {
          leave(place, "writing");
          count = args.count;
          return { value: null, request: null };
        });
        const changed = [{ what: GROUP, from: String(from), to: String(count) }];
        return { result: "succeeded", code: null, changed, certificate: null, words: null };
      },
      reconcile: never,
    },
  };
}

type Signer = { readonly x: string; command(count: number): string };

function signer(now: number): Signer {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const x = publicKey.export({ format: "jwk" }).x;
  if (x === undefined) throw new Error("a public key without x");
  const part = (text: string): string => Buffer.from(text).toString("base64url");
  const header = part('{"alg":"Ed25519","kid":"cmd-bench","typ":"reeve-command+jwt"}');
  return {
    x,
    command(count) {
      const claims = {
        action: "scale",
        args: { count, group: GROUP },
        aud: AGENT_ID,
        by: "maria@vendor.example",
        dry_run: false,
        epoch: 1,
        exp: now + 3600,
        iat: now,
        iss: "vendor.example",
        jti: Bun.randomUUIDv7(),
        why: "INC-4312",
      };
      const input = `${header}.${part(canonical(claims))}`;
      return `${input}.${sign(null, Buffer.from(input), privateKey).toString("base64url")}`;
    },
  };
}

function roadIn(scratch: string, keys: ReadonlyMap<string, string>, now: number): Road {
  const host = realHost();
  const directory = join(scratch, "owner");
  mkdirSync(directory, { mode: 0o755 });
  writeFileSync(join(directory, "policy.yaml"), POLICY, { mode: 0o644 });
  writeFileSync(join(directory, "on"), "on\n", { mode: 0o644 });
  const config = Config.parse({
    version: 1,
    cluster: CLUSTER,
    control_plane: { enrol: "https://127.0.0.1:1", trust_sha256: "A".repeat(43) },
    state: scratch,
    owner: { directory, uid: process.getuid?.() ?? 0 },
    token: { credential: "none" },
    provider: "local",
  });
  const owner = directoryFolder(host.disk, { directory, uid: process.getuid?.() ?? 0 });
  const log = benchLog(scratch);
  return {
    host,
    config,
    owner,
    head: NO_BUCKET,
    history: () => log.memory.history,
    provider: instantProvider(),
    log,
    trustDomain: "vendor.example",
    agentId: AGENT_ID,
    cluster: CLUSTER,
    epoch: 1,
    enrolledAt: now - 60,
    commandKeys: () => keys,
    readPolicy: policyReader(owner),
    suspended: () => (readSwitch(owner).on ? null : "suspended"),
    cleared: () => Promise.resolve(),
    heard: () => Promise.resolve(null),
    stopping: () => false,
    stop: new AbortController().signal,
    manifests: () => Promise.reject(new Error("nothing is deployed here")),
    halted: () => false,
    clockAgrees: () => true,
    cancelled: new Set(),
    appended: () => undefined,
  };
}

/** One command's whole road (from signed bytes to a durable outcome, policy and switch read anew) beside the two syncs it cannot do without. */
export async function roadFigure({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const now = Math.floor(Date.now() / 1000);
  const vendor = signer(now);
  const road = roadIn(scratch, new Map([["cmd-bench", vendor.x]]), now);
  const perRound = quick ? 50 : 200;
  const raw = openSync(join(scratch, "raw"), constants.O_CREAT | constants.O_WRONLY | constants.O_APPEND, 0o600);
  // An intent holds the signed command, an outcome does not.
  const lines = [1400, 500].map((size) => new Uint8Array(size).fill(0x61));
  let asked = 0;
  // The first command puts the policy's revision on record too: it is not counted.
  await execute(vendor.command(asked++ % 9), road, null);
  const commands = async (): Promise<number> => {
    const texts = Array.from({ length: perRound }, () => vendor.command(asked++ % 9));
    const before = road.log.size;
    const start = Bun.nanoseconds();
    for (const text of texts) await execute(text, road, null);
    const taken = Bun.nanoseconds() - start;
    const wrote = road.log.size - before;
    if (wrote !== 2 * perRound)
      throw new Error(`${perRound} commands wrote ${wrote} entries: not all were carried out`);
    return taken / perRound;
  };
  const syncs = (): number => {
    const start = Bun.nanoseconds();
    for (let at = 0; at < perRound; at++) {
      for (const line of lines) {
        writeSync(raw, line);
        fdatasyncSync(raw);
      }
    }
    return (Bun.nanoseconds() - start) / perRound;
  };
  const taken = await inTurn({ syncs, commands }, quick ? 3 : 9);
  road.log.close();
  closeSync(raw);
  const ratio = taken.commands / taken.syncs;
  return [
    {
      what: "one command's road",
      ours: inMilliseconds(taken.commands),
      beside: `its two write + fdatasync: ${inMilliseconds(taken.syncs)}`,
      ratio: times(ratio),
      target: `within ${TARGET_OF_SYNCS}×`,
      reached: ratio <= TARGET_OF_SYNCS,
    },
  ];
}
