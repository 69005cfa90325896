import { expect, test } from "bun:test";
import { verifyConsistency } from "../../agent/audit/consistency.ts";
import { verifyInclusion } from "../../agent/audit/tree.ts";
import { type Case, deviations, held } from "./held.ts";
import { vendored } from "./vendored.ts";

/** RFC 6962's proofs, and spoilt ones, as transparency-dev/merkle keeps them for every implementation. */
type Inclusion = {
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string;
  readonly leafHash: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
};
type Consistency = {
  readonly size1: number;
  readonly size2: number;
  readonly root1: string | null;
  readonly root2: string | null;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
};
const bytes = (base64: string | null): Buffer => Buffer.from(base64 ?? "", "base64");
const said = (good: boolean): string => (good ? "proven" : "refused");

function includes(at: Inclusion): boolean {
  return verifyInclusion(bytes(at.leafHash), at.leafIdx, at.treeSize, (at.proof ?? []).map(bytes), bytes(at.root));
}
function extendsIt(at: Consistency): boolean {
  const [old, now] = [
    { size: at.size1, root: bytes(at.root1) },
    { size: at.size2, root: bytes(at.root2) },
  ];
  return verifyConsistency(old, now, (at.proof ?? []).map(bytes));
}

test("transparency-dev/merkle, RFC 6962: every inclusion and consistency proof, good or spoilt, is judged as the suite says", () => {
  // Proofs of subtrees are of another protocol, which reeve does not speak.
  const all = Object.entries(vendored<Record<string, Inclusion | Consistency>>("merkle")).filter(([id]) =>
    /^(?:inclusion|consistency)\//.test(id),
  );
  const cases = all.map(
    ([id, at]): Case => ({
      id,
      says: said(!at.wantErr),
      ours: said("leafIdx" in at ? includes(at) : extendsIt(at)),
    }),
  );
  expect(cases.filter(({ says }) => says === "proven").length).toBeGreaterThan(8);
  expect(held("RFC 6962 proofs", cases, deviations("tree"))).toEqual([]);
});
