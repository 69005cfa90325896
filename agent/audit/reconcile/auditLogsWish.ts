import { createPublicKey } from "node:crypto";
import { z } from "zod";
import { requestDigest } from "./asked.ts";
import type { RecordWish, Wished } from "./call.ts";

/** What a change asked for, out of an audit log entry's `request`. A field of another form than Google documents is not shown. */
const Count = z.union([z.number(), z.string().regex(/^\d{1,9}$/)]);
const RecordSet = z.looseObject({
  name: z.string(),
  type: z.string(),
  ttl: z.number().optional().catch(undefined),
  // The log's name for it, and the API's own.
  rrdata: z.array(z.string()).optional().catch(undefined),
  rrdatas: z.array(z.string()).optional().catch(undefined),
});
const Config = z.looseObject({
  publicKey: z.looseObject({ key: z.string() }),
  subjectConfig: z.looseObject({ subjectAltName: z.looseObject({ dnsNames: z.array(z.string()) }) }),
  x509Config: z.looseObject({
    caOptions: z.looseObject({ isCa: z.boolean().default(false) }).default({ isCa: false }),
    keyUsage: z.looseObject({ extendedKeyUsage: z.record(z.string(), z.boolean()) }),
  }),
});
const Request = z.looseObject({
  size: Count.optional().catch(undefined),
  certificate: z
    .looseObject({
      lifetime: z
        .string()
        .regex(/^\d{1,10}(?:\.\d+)?s$/)
        .optional()
        .catch(undefined),
      config: Config,
    })
    .optional()
    .catch(undefined),
  change: z
    .looseObject({ additions: z.array(RecordSet).default([]), deletions: z.array(RecordSet).default([]) })
    .optional()
    .catch(undefined),
});

const NOTHING: Wished = { count: null, usages: null, validity: null, csr: null, records: null };

/** `seconds`: of the entry, unix. */
export function wishedOf(request: unknown, seconds: number): Wished {
  const read = Request.safeParse(request);
  if (!read.success) return NOTHING;
  const { size, certificate, change } = read.data;
  const lifetime = certificate?.lifetime;
  return {
    count: size === undefined ? null : Number(size),
    usages: certificate === undefined ? null : usagesOf(certificate.config),
    // The authority counts from when it signs: the last second is the lifetime's own.
    validity:
      lifetime === undefined ? null : { from: seconds, until: seconds + Math.ceil(Number.parseFloat(lifetime)) },
    csr: null,
    request: certificate === undefined ? null : requestOf(certificate.config),
    records:
      change === undefined ? null : [...change.deletions.map(wish("DELETE")), ...change.additions.map(wish("CREATE"))],
  };
}

function wish(step: string) {
  return ({ name, type, ttl, rrdata, rrdatas }: z.infer<typeof RecordSet>): RecordWish => ({
    step,
    name: name.replace(/\.$/, "").toLowerCase(),
    type,
    ttl: ttl ?? null,
    values: rrdata ?? rrdatas ?? null,
  });
}

const USAGES: Readonly<Record<string, string>> = { serverAuth: "server", clientAuth: "client" };

/** Whatever a command never asks for stands there by its own name. */
function usagesOf({ x509Config: { caOptions, keyUsage } }: z.infer<typeof Config>): string {
  const on = Object.entries(keyUsage.extendedKeyUsage).flatMap(([name, is]) => (is ? [USAGES[name] ?? name] : []));
  return [...on, ...(caOptions.isCa ? ["an authority"] : [])].sort().join(",");
}

/** The public key and the names: what the judged request said. Null where the key is none. */
function requestOf({ publicKey, subjectConfig }: z.infer<typeof Config>): string | null {
  try {
    const key = createPublicKey(Buffer.from(publicKey.key, "base64"));
    return requestDigest(key.export({ type: "spki", format: "der" }), subjectConfig.subjectAltName.dnsNames);
  } catch {
    // What is no key is not compared: the call then counts as not compared whole.
    return null;
  }
}
