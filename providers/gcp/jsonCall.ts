import type { z } from "zod";
import { CallFailed } from "../provider.ts";
import type { GcpCalls } from "./call.ts";
import { jsonOf } from "./failure.ts";
import type { Service } from "./operations.ts";

export type JsonCall = {
  readonly calls: GcpCalls;
  readonly service: Service;
  readonly url: URL;
  readonly method: "GET" | "POST" | "PATCH";
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Of a POST that only reads. */
  readonly reads?: true;
};

/** One call as plain JSON, without a client of Google's: what it does not know of is kept. Throws CallFailed and Halted. */
export async function jsonCall<Schema extends z.ZodType>(call: JsonCall, schema: Schema): Promise<z.infer<Schema>> {
  const { calls, service, url, method, query = {}, body } = call;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const bytes = body === undefined ? null : new TextEncoder().encode(JSON.stringify(body));
  const answer = await calls.send(service, (wire) => wire(url, method, bytes));
  const read = schema.safeParse(jsonOf(answer));
  if (read.success) return read.data;
  throw new CallFailed("malformed", read.error.message, method === "GET" || call.reads ? "none" : "unknown");
}
