import { z } from "zod";
import type { RecordWish, Wished } from "./call.ts";

/** What a change asked for, out of the body that the Activity Log shows of a request. A field of another form is not shown. */
export const NOTHING_WISHED: Wished = { count: null, usages: null, validity: null, csr: null, records: null };

const Shown = z.looseObject({ requestbody: z.string().max(64 * 1024) });
const Resize = z.looseObject({ sku: z.looseObject({ capacity: z.number().int() }) });
const Put = z.looseObject({
  properties: z.looseObject({
    TTL: z.number().int(),
    ARecords: z.array(z.looseObject({ ipv4Address: z.string() })).optional(),
    AAAARecords: z.array(z.looseObject({ ipv6Address: z.string() })).optional(),
    CNAMERecord: z.looseObject({ cname: z.string() }).optional(),
    TXTRecords: z.array(z.looseObject({ value: z.array(z.string()) })).optional(),
  }),
});

/** `properties`: of each event of the call; one of them may hold the body. `subject`: `ZONE/NAME` for records. */
export function wishedIn(operation: string, subject: string | null, properties: readonly unknown[]): Wished {
  const body = properties.map((one) => Shown.safeParse(one).data?.requestbody).find((one) => one !== undefined);
  if (operation.endsWith("virtualMachineScaleSets/write")) {
    const count = Resize.safeParse(parsed(body)).data?.sku.capacity ?? null;
    return { ...NOTHING_WISHED, count };
  }
  const [, type, verb] = /\/dnsZones\/([A-Z]+)\/(write|delete)$/.exec(operation) ?? [];
  if (type === undefined || subject === null) return NOTHING_WISHED;
  const name = subject.slice(subject.indexOf("/") + 1);
  if (verb === "delete")
    return { ...NOTHING_WISHED, records: [{ step: "DELETE", name, type, ttl: null, values: null }] };
  const put = Put.safeParse(parsed(body)).data?.properties;
  return put === undefined ? NOTHING_WISHED : { ...NOTHING_WISHED, records: [recordOf(name, type, put)] };
}

function recordOf(name: string, type: string, put: z.infer<typeof Put>["properties"]): RecordWish {
  const values =
    put.ARecords?.map(({ ipv4Address }) => ipv4Address) ??
    put.AAAARecords?.map(({ ipv6Address }) => ipv6Address) ??
    put.TXTRecords?.map(({ value }) => value.join("")) ??
    (put.CNAMERecord === undefined ? null : [put.CNAMERecord.cname]);
  return { step: "PUT", name, type, ttl: put.TTL, values };
}

function parsed(text: string | undefined): unknown {
  if (text === undefined) return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
