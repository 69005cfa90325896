import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../agent/wire/envelope.ts";
import { Manifest } from "../../agent/wire/manifest.ts";
import { keepManifest } from "../../control/manifest/inventory.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { type Effort, type Figure, median } from "../figure.ts";

const CLUSTERS = 1000;
const LIBRARIES = 500;
const TARGET_MS = 1000;
const CONTROL = join(import.meta.dirname, "..", "..", "dist", "reeve-control");

function manifest(n: number): Manifest {
  const libraries = Array.from({ length: LIBRARIES - 1 }, (_, at) => `pkg:deb/debian/lib${at}@1.${at}-${n}`);
  const packages = [...libraries, `pkg:deb/debian/libssl3@3.0.${n % 10 === 0 ? 11 : 15}-1~deb12u2`].sort();
  return Manifest.parse({
    type: "reeve-manifest",
    v: 1,
    says: "bench",
    content: { agent: null, version: "1.0.0", images: [{ name: "broker", digest: digestOf(`image ${n}`), packages }] },
    parameters: {
      cluster: `c${n}`,
      place: { cloud: "aws", account: "111122223333", region: "eu-west-1" },
      images: {},
      groups: {},
      zones: [],
      authorities: [],
      names: [],
      policy: null,
    },
  });
}

/** `manifest holds` by the compiled executable, its start with it, over clusters of which no two have the same content. */
export async function inventoryFigures({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const dir = join(scratch, "inventory");
  mkdirSync(dir, { recursive: true });
  const clusters = quick ? CLUSTERS / 10 : CLUSTERS;
  const store = await openSqlite(join(dir, "state.db"));
  await store.transaction(async (sql) => {
    for (let n = 0; n < clusters; n++)
      await keepManifest(sql, { manifest: manifest(n), digest: digestOf(`manifest ${n}`), note: "" }, "bench", "bench");
  });
  store.close();
  const taken: number[] = [];
  for (let round = 0; round < 7; round++) {
    const began = performance.now();
    const done = spawnSync(CONTROL, ["manifest", "holds", "libssl*", "3.0.11", "--dir", dir, "--json"], {
      encoding: "utf8",
    });
    taken.push(performance.now() - began);
    const { holders } = JSON.parse(done.stdout) as { holders: unknown[] };
    if (holders.length !== clusters / 10) throw new Error(`${holders.length} clusters hold it`);
  }
  const middle = median(taken);
  return [
    {
      what: `which of ${clusters.toLocaleString("en")} clusters of ${LIBRARIES} libraries hold libssl 3.0.11`,
      ours: `${middle.toFixed(0)} ms`,
      beside: `${Math.min(...taken).toFixed(0)} to ${Math.max(...taken).toFixed(0)} ms`,
      ratio: "",
      target: `under ${TARGET_MS} ms`,
      reached: middle < TARGET_MS,
    },
  ];
}
