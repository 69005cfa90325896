import { z } from "zod";
import { type Cosigner, parseCosigner } from "../audit/cosignature.ts";

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const LOOPBACK = new Set(["localhost", "[::1]"]);

/** The witness's address, its prefix without a slash at its end: https, or http to this very machine. Null for anything else. */
export function witnessUrl(text: string): URL | null {
  const url = URL.parse(text);
  if (url === null || url.href.replace(/\/$/, "") !== text || url.username !== "" || url.password !== "") return null;
  if (url.search !== "" || url.hash !== "" || text.includes("?") || text.includes("#")) return null;
  if (url.protocol === "https:") return url;
  const here = LOOPBACK.has(url.hostname) || /^127\.\d+\.\d+\.\d+$/.test(url.hostname);
  return url.protocol === "http:" && here ? url : null;
}

export const WitnessConfig = z.strictObject({
  /** What `status` and `doctor` call it. */
  name: z.string().regex(NAME, "1 to 64 letters, digits, . _ -"),
  url: z.string().refine((text) => witnessUrl(text) !== null, "https://HOST[:PORT][/PREFIX], or http://127.0.0.1:PORT"),
  /** Its verifier key: NAME+ID+KEY, of type 0x04 (c2sp.org/tlog-cosignature). */
  key: z.string().refine((text) => parseCosigner(text) !== null, "a verifier key of a cosigner: NAME+ID+KEY"),
  /** True: no command is taken while it has not cosigned the newest head. */
  required: z.boolean(),
  /** PEM of the only roots that its certificate may lead to; without it, those that the runtime brings. */
  ca: z
    .string()
    .regex(/^\/[^\0]*$/, "an absolute path")
    .optional(),
});
export type WitnessConfig = z.infer<typeof WitnessConfig>;

export const WitnessesConfig = z
  .array(WitnessConfig)
  .max(8)
  .superRefine((witnesses, context) => {
    for (const field of ["name", "url", "key"] as const)
      for (const [at, one] of witnesses.entries())
        if (witnesses.findIndex((other) => other[field] === one[field]) !== at)
          context.addIssue({ code: "custom", path: [at, field], message: "another witness has this one already" });
  });

/** Of a config that was checked. */
export function cosignerOf({ key }: WitnessConfig): Cosigner {
  const cosigner = parseCosigner(key);
  if (cosigner === null) throw new Error("a witness's key was not checked");
  return cosigner;
}
