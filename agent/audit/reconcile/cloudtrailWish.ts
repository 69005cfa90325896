import { z } from "zod";
import { csrDigest } from "./asked.ts";
import type { Wished } from "./call.ts";

/** What a change asked for, out of CloudTrail's `requestParameters`. A field of another form than AWS documents is not shown. */
const Moment = z.looseObject({ type: z.string(), value: z.number() });
const RecordSet = z.looseObject({
  name: z.string(),
  type: z.string(),
  // CloudTrail writes TTL as tTL.
  tTL: z.number().optional().catch(undefined),
  ttl: z.number().optional().catch(undefined),
  resourceRecords: z
    .array(z.looseObject({ value: z.string() }))
    .optional()
    .catch(undefined),
});
const Asked = z.looseObject({
  desiredCapacity: z.number().optional().catch(undefined),
  templateArn: z.string().optional().catch(undefined),
  validity: Moment.optional().catch(undefined),
  validityNotBefore: Moment.optional().catch(undefined),
  csr: z
    .union([z.string(), z.looseObject({ hb: z.array(z.number().int().min(-128).max(255)) })])
    .optional()
    .catch(undefined),
  changeBatch: z
    .looseObject({ changes: z.array(z.looseObject({ action: z.string(), resourceRecordSet: RecordSet })) })
    .optional()
    .catch(undefined),
});
type Asked = z.infer<typeof Asked>;

const NOTHING: Wished = { count: null, usages: null, validity: null, csr: null, records: null };

export function wishedOf(parameters: unknown): Wished {
  const read = Asked.safeParse(parameters);
  if (!read.success) return NOTHING;
  const { desiredCapacity, templateArn, csr, changeBatch } = read.data;
  return {
    count: desiredCapacity ?? null,
    usages: templateArn === undefined ? null : usagesOf(templateArn),
    validity: validityOf(read.data),
    csr: csr === undefined ? null : csrOf(csr),
    records:
      changeBatch?.changes.map(({ action, resourceRecordSet: { name, type, tTL, ttl, resourceRecords } }) => ({
        step: action,
        name: name.replace(/\.$/, "").toLowerCase(),
        type,
        ttl: tTL ?? ttl ?? null,
        values: resourceRecords?.map(({ value }) => value) ?? null,
      })) ?? null,
  };
}

const USAGES: Readonly<Record<string, string>> = { "": "client,server", ServerAuth: "server", ClientAuth: "client" };

/** Only the base end-entity templates are anything that a command asks for. */
function usagesOf(template: string): string {
  const [, kind] =
    /^arn:aws[a-z-]*:acm-pca:::template\/EndEntity(|ServerAuth|ClientAuth)Certificate\/V1$/.exec(template) ?? [];
  return USAGES[kind ?? "another"] ?? template;
}

/** Both ends are asked for in unix seconds, never as a number of days. */
function validityOf({ validity, validityNotBefore }: Asked): Wished["validity"] {
  if (validity === undefined) return null;
  const others = [validity, validityNotBefore].some((one) => one !== undefined && one.type !== "ABSOLUTE");
  return others ? "another form" : { from: validityNotBefore?.value ?? null, until: validity.value };
}

/** PEM: as the bytes of Java's buffer, as text, or as the base64 of it. Null where it is none. */
function csrOf(csr: NonNullable<Asked["csr"]>): string | null {
  const text = typeof csr === "string" ? csr : Buffer.from(csr.hb).toString("latin1");
  const pem = text.startsWith("-----") ? text : Buffer.from(text, "base64").toString("latin1");
  const [, body] =
    /^-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----\s*$/.exec(pem) ?? [];
  return body === undefined ? null : csrDigest(body.replace(/\s/g, ""));
}
