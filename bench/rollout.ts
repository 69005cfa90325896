import { generateKeyPairSync, sign } from "node:crypto";
import { join } from "node:path";
import { digestOf } from "../agent/wire/envelope.ts";
import { type Manifest, manifestText } from "../agent/wire/manifest.ts";
import { signManifest } from "../control/manifest/file.ts";
import { keepManifest } from "../control/manifest/inventory.ts";
import { settle } from "../control/report.ts";
import { makeDriver } from "../control/rollout/driver.ts";
import { STEP_MS } from "../control/rollout/limits.ts";
import { summaryOf } from "../control/rollout/read.ts";
import { startRollout } from "../control/rollout/start.ts";
import type { Signer } from "../control/signer.ts";
import { openSqlite } from "../control/sqlite.ts";
import { signStatement } from "../control/statement.ts";
import { nowSeconds, type Store } from "../control/store.ts";
import type { Effort, Figure } from "./figure.ts";

/** What a rollout costs its driver: clusters are modelled, and answer at once, through the control plane's own handler. */
const AS = "vendor.example/release";
const IN_A_TRANSACTION = 1000;
const TARGET_SECONDS = { 1000: 10, 10000: 120, 100000: 1200 };

function newSigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    kid: "bench",
    x: `${publicKey.export({ format: "jwk" }).x}`,
    sign: (bytes) => sign(null, bytes, privateKey),
  };
}

function filed(cluster: string, version: string, signer: Signer) {
  const digest = digestOf(version);
  const packages = Array.from({ length: 100 }, (_, n) => `pkg:deb/debian/lib${String(n).padStart(3, "0")}@${version}`);
  const manifest: Manifest = {
    content: { agent: null, images: [{ name: "broker", digest, packages }], version },
    parameters: {
      cluster,
      place: { cloud: "local", account: "", region: "" },
      images: { broker: digest },
      groups: { brokers: { image: "broker", count: 3 } },
      zones: [],
      authorities: [],
      names: [],
      policy: null,
    },
    type: "reeve-manifest",
    says: version,
    v: 1,
  };
  const note = signManifest(manifest, AS, signer);
  return { manifest, note, digest: digestOf(manifestText(manifest).slice(0, -1)), signers: [AS] };
}

async function setUp(store: Store, clusters: number, signer: Signer): Promise<void> {
  for (let from = 0; from < clusters; from += IN_A_TRANSACTION)
    await store.transaction(async (sql) => {
      for (let n = from; n < Math.min(from + IN_A_TRANSACTION, clusters); n++) {
        const name = `c${n}`;
        await keepManifest(sql, filed(name, "1.0.0", signer), "bench", "bench");
        await sql.run("update clusters set epoch = 1, state = 'ready', trust_version = 1 where cluster = $1", name);
        const claims = {
          iss: "vendor.example",
          aud: name,
          version: 1,
          iat: nowSeconds(),
          roots: ["AAAA"],
          witness_keys: [],
        };
        const jws = signStatement({ ...claims, command_keys: [{ kid: signer.kid, x: signer.x }] }, signer);
        await sql.run("insert into trust (cluster, version, jws) values ($1, 1, $2)", name, jws);
      }
    });
}

/** Every cluster is heard from, and each command that waits is reported done. */
async function answer(store: Store): Promise<void> {
  await store.transaction(async (sql) => {
    await sql.run("update clusters set last_seen = $1", nowSeconds());
    const rows = await sql.rows<{ id: string; cluster: string }>(
      "select id, cluster from commands where state = 'queued'",
    );
    for (const { id, cluster } of rows)
      await settle(
        sql,
        { cluster, epoch: 1 } as never,
        { kind: "outcome", command: id, result: "succeeded" } as never,
        "{}",
      );
  });
}

/** Seconds of a whole rollout, without what was set up before. */
async function rolledOut(scratch: string, clusters: number): Promise<number> {
  const signer = newSigner();
  const store = await openSqlite(join(scratch, `${clusters}.db`));
  await setUp(store, clusters, signer);
  let steady = 0;
  const driver = makeDriver(store, "vendor.example", { release: signer, command: () => signer }, () => steady);
  const began = performance.now();
  const wish = {
    file: filed("any", "2.0.0", signer),
    lanes: [10, 25, 50, 100],
    only: null,
    canaries: [],
    soakMs: 1000,
    waitMs: 60_000,
    maxFailed: "0",
    maxRefused: "0",
    images: {},
    signer: AS,
    by: "bench",
    why: "bench",
  };
  await answer(store);
  const id = await startRollout(store, wish, signer);
  while ((await driver.open()).length > 0) {
    await driver.drive(id);
    await answer(store);
    steady += STEP_MS;
  }
  const seconds = (performance.now() - began) / 1000;
  const { states } = await store.transaction((sql) => summaryOf(sql, id));
  if (states.healthy !== clusters) throw new Error(`of ${clusters} clusters ${states.healthy} are well`);
  store.close();
  return seconds;
}

export async function rolloutFigures({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const clusters of quick ? ([1000, 10_000] as const) : ([1000, 100_000] as const)) {
    const seconds = await rolledOut(scratch, clusters);
    const target = TARGET_SECONDS[clusters];
    figures.push({
      what: `rollout of ${clusters.toLocaleString("en")} simulated clusters, four lanes`,
      ours: `${seconds.toFixed(1)} s`,
      beside: `${Math.round(clusters / seconds).toLocaleString("en")} clusters/s`,
      ratio: "",
      target: `under ${target} s`,
      reached: seconds < target,
    });
  }
  return figures;
}
