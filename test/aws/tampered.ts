/**
 * The agent from its sources, with a mistake of ours put in: it proves whose its credentials are before each call, and the NTH proof would go
 * to another place than its gate permits. `bun tampered.ts NTH REEVE WORDS…` runs as `REEVE WORDS…` would.
 */
const [bun = "", self = "", nth = "", , ...words] = process.argv;
process.argv = [bun, self, ...words];
const MISTAKES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  "credentials.ts": [
    ["if (before !== null && leftOf(before) > REFRESH_BEFORE_MS) return before;", ""],
    ["if (held !== null && held.secretAccessKey === fresh.secretAccessKey) return held;", ""],
  ],
  "prove.ts": [
    ['placesOf(aws, "sts", ["POST"])', `placesOf(aws, "sts", ++proofs === ${Number(nth)} ? ["PUT"] : ["POST"])`],
    ["export async function prove", "let proofs = 0;\nexport async function prove"],
  ],
};

Bun.plugin({
  name: "mistake",
  setup(build) {
    build.onLoad({ filter: /providers\/aws\/(?:prove|credentials)\.ts$/ }, async ({ path }) => {
      let contents = await Bun.file(path).text();
      for (const [from, to] of MISTAKES[path.split("/").at(-1) ?? ""] ?? []) {
        if (contents.split(from).length !== 2) throw new Error(`the mistake has no place: ${from}`);
        contents = contents.replace(from, () => to);
      }
      return { contents, loader: "ts" };
    });
  },
});
await import("../../agent/main.ts");
