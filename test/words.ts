/** What was said after `bun run test:NAME`, as build/check.ts passes it on: `--minutes N`, `--all`. */
const words = (process.env["REEVE_TEST_WORDS"] ?? "").split(" ").filter(Boolean);

function after(flag: string): number | null {
  const at = words.indexOf(flag);
  if (at < 0) return null;
  const value = Number(words[at + 1]);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`${flag} takes a number`);
  return value;
}

export const testWords: { readonly minutes: number | null; readonly seed: number | null; readonly all: boolean } = {
  minutes: after("--minutes"),
  seed: after("--seed"),
  all: words.includes("--all"),
};
