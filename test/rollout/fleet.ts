import { onTestFinished } from "bun:test";
import { keepManifest } from "../../control/manifest/inventory.ts";
import { settle } from "../../control/report.ts";
import { type Driver, makeDriver } from "../../control/rollout/driver.ts";
import type { MemberRow } from "../../control/rollout/schema.ts";
import type { Keys } from "../../control/rollout/sign.ts";
import { type RolloutWish, startRollout } from "../../control/rollout/start.ts";
import type { Signer } from "../../control/signer.ts";
import { signStatement } from "../../control/statement.ts";
import { ensureCluster, nowSeconds, type Store } from "../../control/store.ts";
import { newStore } from "../fleet/engine.ts";
import { AS, filed, manifestOf, newSigner } from "../simulation/rollouts/world.ts";

/** An empty state of the engine in use, with clusters that have a manifest, a trust statement and an agent that was just heard from; time is the test's. */
export type Fleet = {
  readonly store: Store;
  readonly command: Signer;
  readonly release: Signer;
  driver(keys?: Partial<Keys>): Driver;
  start(more?: Partial<RolloutWish>, release?: Signer): Promise<number>;
  member(cluster: string, rollout?: number): Promise<MemberRow>;
  run(text: string, ...values: (string | number)[]): Promise<void>;
  /** Of each command that was signed, what it names. */
  asked(): Promise<{ readonly cluster: string; readonly group: string; readonly manifest: string }[]>;
  /** Every command that waits is done. */
  answer(): Promise<void>;
  /** So much passes at each look, and nobody else's clock moves. */
  pass(milliseconds: number): void;
};
const VENDOR = "vendor.example";
const STEP_MS = 3600_000;

export async function newFleet(names: readonly string[]): Promise<Fleet> {
  const [command, release] = [newSigner("cmd-test"), newSigner("release-test")];
  const store = await newStore();
  onTestFinished(() => store.close());
  for (const name of names)
    await store.transaction(async (sql) => {
      await ensureCluster(sql, name);
      await keepManifest(sql, filed(manifestOf(name, "1.0.0", 1), release), "setup", "setup");
      await sql.run(
        "update clusters set epoch = 1, state = 'ready', trust_version = 1, last_seen = $1 where cluster = $2",
        nowSeconds(),
        name,
      );
      const claims = { iss: VENDOR, aud: name, version: 1, iat: nowSeconds(), roots: ["AAAA"], witness_keys: [] };
      const jws = signStatement({ ...claims, command_keys: [{ kid: command.kid, x: command.x }] }, command);
      await sql.run("insert into trust (cluster, version, jws) values ($1, 1, $2)", name, jws);
    });
  let now = 0;
  const rows = <Row>(text: string, ...values: (string | number)[]): Promise<Row[]> =>
    store.transaction((sql) => sql.rows<Row>(text, ...values));
  return {
    store,
    command,
    release,
    driver: (keys = {}) => makeDriver(store, VENDOR, { release, command: () => command, ...keys }, () => now, STEP_MS),
    start: (more = {}, key = release) =>
      startRollout(store, { ...WISH, file: filed(manifestOf("any", "2.0.0", 1), key), ...more }, key),
    async member(cluster, rollout = 1) {
      const text = "select * from rollout_clusters where cluster = $1 and rollout = $2";
      const [row] = await rows<MemberRow>(text, cluster, rollout);
      if (row === undefined) throw new Error(`rollout ${rollout} has no ${cluster}`);
      return row;
    },
    async run(text, ...values) {
      await store.transaction((sql) => sql.run(text, ...values));
    },
    async asked() {
      const all = await rows<{ cluster: string; jws: string }>(
        "select cluster, jws from commands order by cluster, id",
      );
      return all.map(({ cluster, jws }) => {
        const payload = Buffer.from(jws.split(".")[1] ?? "", "base64url").toString();
        const { args } = JSON.parse(payload) as { args: { group: string; manifest: string } };
        return { cluster, group: args.group, manifest: args.manifest };
      });
    },
    async answer() {
      const all = await rows<{ id: string; cluster: string }>(
        "select id, cluster from commands where state = 'queued'",
      );
      for (const { id, cluster } of all)
        await store.transaction((sql) =>
          settle(
            sql,
            { cluster, epoch: 1 } as never,
            { kind: "outcome", command: id, result: "succeeded" } as never,
            "{}",
          ),
        );
    },
    pass(milliseconds) {
      now += milliseconds;
    },
  };
}

const WISH = {
  lanes: [100],
  only: null,
  canaries: [],
  soakMs: 1000,
  waitMs: 3600_000,
  maxFailed: "0",
  maxRefused: "100%",
  images: {},
  signer: AS,
  by: "operator",
  why: "because",
};
