import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { onPostgres } from "./engine.ts";

/**
 * What is claimed on SQLite of whatever speaks to the state, claimed again on a real PostgreSQL: the same files, whose worlds begin with a database of
 * their own. A file that stands in neither list fails the first test.
 */
const FOLDERS: Readonly<
  Record<string, { readonly here: readonly string[]; readonly not: Readonly<Record<string, string>> }>
> = {
  control: {
    here: ["asked", "commands", "copies", "epoch", "identity", "plan", "revisions", "segments", "share", "witness"],
    not: {
      nextStatement: "it has no state",
      plans: "it is about how SQLite goes through its tables",
      named: "it is about words in our sources; no state is looked at",
      program: "it is about the program and the files of its folder; replicas.test.ts kills it on PostgreSQL",
    },
  },
  rollout: {
    here: ["driver", "held"],
    not: {
      decide: "it has no state",
      commands: "it is about the program; rolloutsOnPostgres.test.ts drives it on PostgreSQL",
    },
  },
  manifest: {
    here: ["inventory"],
    not: {
      commands: "it is about the program, and about files that nobody has imported",
      matches: "it has no state",
      scan: "it has no state",
    },
  },
};

const postgres = await onPostgres();
afterAll(() => postgres.end(), 60_000);

// Of its own, so that its worlds begin for its tests alone.
for (const [folder, { here }] of Object.entries(FOLDERS))
  for (const name of here)
    describe(`${folder}/${name}`, async () => {
      await import(`../${folder}/${name}.test.ts`);
    });

test.each(Object.keys(FOLDERS))("each file of test/%s runs here, or it is said why not", (folder) => {
  const files = readdirSync(join(import.meta.dir, "..", folder)).filter((name) => name.endsWith(".test.ts"));
  const { here, not } = FOLDERS[folder] ?? { here: [], not: {} };
  expect([...here, ...Object.keys(not)].map((name) => `${name}.test.ts`).sort()).toEqual(files.sort());
});
