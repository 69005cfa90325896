import { loadPolicy } from "../../policy/parse.ts";
import type { Policy } from "../../policy/policy.ts";
import { type Refusal, refuse } from "../../policy/refusal.ts";
import { MAX_POLICY_BYTES } from "../limits.ts";
import { digestOf } from "../wire/envelope.ts";
import { readOwned } from "./files.ts";
import type { OwnersFolder } from "./folder.ts";

export type ReadPolicy =
  | { readonly policy: Policy; readonly digest: string }
  | { readonly refusal: Refusal; readonly digest: string | null };

/**
 * Reads the owner's policy anew; only a parse under the same digest is kept. Whatever is wrong with it refuses everything.
 * `cannot` is what the refusal's sentence is about.
 */
export function policyReader({ disk, at }: OwnersFolder): (cannot: string) => ReadPolicy {
  let kept: { digest: string; loaded: ReturnType<typeof loadPolicy> } | null = null;
  return (cannot) => {
    const file = readOwned(disk, at, "policy.yaml", MAX_POLICY_BYTES);
    if (!("bytes" in file)) {
      const code = file.what === "permission" ? "policy.permission" : "policy.unreadable";
      return { refusal: refuse(code, cannot, file.because, file.hint), digest: null };
    }
    const digest = digestOf(file.bytes);
    if (kept?.digest !== digest) kept = { digest, loaded: loadPolicy(file.bytes) };
    const { loaded } = kept;
    if ("policy" in loaded) return { policy: loaded.policy, digest };
    const first = loaded.errors[0];
    if (first === undefined) throw new Error("a policy was refused without an error");
    const where = `policy.yaml:${first.line}:${first.column}`;
    return { refusal: refuse(first.code, cannot, `${where}: ${first.message}`, first.hint), digest };
  };
}
