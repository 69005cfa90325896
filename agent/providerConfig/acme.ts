import { z } from "zod";
import { AbsolutePath, Origin } from "./fields.ts";

/** An https URL exactly as a URL parser writes it. */
const Directory = z.string().refine((text) => {
  const url = URL.parse(text);
  return (
    url !== null && url.href === text && url.protocol === "https:" && `${url.username}${url.password}${url.hash}` === ""
  );
}, "https://HOST/PATH, as a browser would write it");
const Name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "letters, digits and . _ -, at most 64");

const Acme = z.strictObject({
  directory: Directory,
  /** That its terms of service are agreed to: without the owner's word no account is made. */
  terms: z.literal("agreed", { error: "agreed, once you have read the authority's terms of service" }),
  /** The account's key, PKCS #8 PEM of P-256, 0600. Made there where there is none; without it, in the state folder. */
  account_key: AbsolutePath.optional(),
  /** RFC 8555 section 7.3: where the authority writes to. */
  contact: z
    .array(z.string().regex(/^mailto:[!-~]{3,254}$/, "mailto:NAME@HOST"))
    .max(4)
    .default([]),
  /** PEM of the roots that the directory's TLS is held to; without it, those that the runtime brings. */
  root: AbsolutePath.optional(),
  /** PEM of the roots that issued chains must lead to; without it, a chain is held to its own links. */
  issued_by: AbsolutePath.optional(),
  /** Other origins that the directory's own answers may name. */
  hosts: z.array(Origin).max(8).default([]),
  /** `asked`: the validity goes into the order, for authorities that take it. `theirs`: the authority decides, and what comes is held to the rule. */
  validity: z.enum(["asked", "theirs"]).default("theirs"),
  /** Seconds between a record's being in place and the authority's being told, for name servers that follow later. */
  settle_seconds: z.number().int().min(0).max(120).default(0),
  /** RFC 8555 section 7.3.4: an account there that this one is bound to. The key's file: base64url, 0600. */
  external_account: z.strictObject({ id: z.string().regex(/^[!-~]{1,256}$/), key_file: AbsolutePath }).optional(),
});
export type Acme = z.infer<typeof Acme>;

/** Certificate authorities over ACME, beside whatever the provider is. */
export const AcmeConfig = z.record(Name, Acme).default({});
export type AcmeConfig = z.infer<typeof AcmeConfig>;
