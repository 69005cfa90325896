/**
 * The agent from its sources, with a mistake of ours put in: it proves whose its credentials are before each call, and the NTH proof would go
 * another way than its gate permits; with "look", the third look at the owner's folder would. `bun tampered.ts NTH REEVE WORDS…` runs
 * as `REEVE WORDS…` would.
 */
const [bun = "", self = "", given = "", , ...words] = process.argv;
const nth = given === "look" ? 0 : Number(given);
const BREACH = 'new GateBreach("gate.place", "sts:GetCallerIdentity", "look")';
process.argv = [bun, self, ...words];
const MISTAKES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  "credentials.ts": [
    ["if (before !== null && leftOf(before) > REFRESH_BEFORE_MS) return before;", ""],
    ["if (held !== null && held.secretAccessKey === fresh.secretAccessKey) return held;", ""],
  ],
  "prove.ts": [
    [
      "table: IDENTITY_OPERATIONS,",
      `table: ++proofs === ${nth} ? IDENTITY_OPERATIONS.map((row) => ({ ...row, method: "PUT" })) : IDENTITY_OPERATIONS,`,
    ],
    ["export async function prove", "let proofs = 0;\nexport async function prove"],
  ],
  "folder.ts": [
    [
      "refresh: () => Promise.resolve()",
      `refresh: () => (++looks === ${given === "look" ? 3 : 0} ? Promise.reject(${BREACH}) : Promise.resolve())`,
    ],
    [
      "export function directoryFolder",
      'import { GateBreach } from "../../providers/provider.ts";\nlet looks = 0;\nexport function directoryFolder',
    ],
  ],
};

Bun.plugin({
  name: "mistake",
  setup(build) {
    build.onLoad(
      { filter: /(?:providers\/aws\/(?:prove|credentials)|agent\/owner\/folder)\.ts$/ },
      async ({ path }) => {
        let contents = await Bun.file(path).text();
        for (const [from, to] of MISTAKES[path.split("/").at(-1) ?? ""] ?? []) {
          if (contents.split(from).length !== 2) throw new Error(`the mistake has no place: ${from}`);
          contents = contents.replace(from, () => to);
        }
        return { contents, loader: "ts" };
      },
    );
  },
});
const { main } = await import("../../agent/main.ts");
await main();
