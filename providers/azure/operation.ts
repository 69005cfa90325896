import { z } from "zod";
import type { AzureConfig } from "../../agent/providerConfig/azure.ts";
import { CallFailed } from "../provider.ts";
import type { AzureCalls } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { retryAfterOf, statusOf } from "./failure.ts";

/** A long-running operation ("Track asynchronous Azure operations"): where its status is read, after it was held to the config. */
export type Operation = { readonly url: string; readonly path: string };

/** Null: the answer names none. Throws CallFailed for one that is not of Resource Manager's own host and the config's subscription. */
export function operationIn(azure: AzureConfig, headers: Readonly<Record<string, string>>): Operation | null {
  const url = headers["azure-asyncoperation"] ?? headers["location"];
  return url === undefined ? null : operationAt(azure, url);
}

/** Also for a URL that was kept: what lies on a disk is looked at as what came from a network. */
export function operationAt(azure: AzureConfig, text: string): Operation {
  const elsewhere = new CallFailed("operation-elsewhere", `an operation at ${text.slice(0, 512)}`, "none");
  if (!/^[\x21-\x7e]{1,2048}$/.test(text) || !URL.canParse(text)) throw elsewhere;
  const url = new URL(text);
  const own = endpointOf(azure, "arm").url.host;
  if (url.protocol !== "https:" || url.host !== own || url.username !== "" || url.password !== "" || url.hash !== "")
    throw elsewhere;
  const path =
    /^\/subscriptions\/([0-9a-f-]{36})\/providers\/Microsoft\.Compute\/locations\/[A-Za-z0-9]{1,32}\/operations\/[0-9A-Fa-f-]{36}$/;
  if (path.exec(url.pathname)?.[1] !== azure.subscription) throw elsewhere;
  return { url: url.href, path: url.pathname };
}

/** `running`: with how long Azure asks to wait, milliseconds. */
export type Status =
  | { readonly is: "running"; readonly afterMs: number | null }
  | { readonly is: "done" }
  | { readonly is: "failed"; readonly code: string; readonly words: string };

const Said = z.object({
  status: z.string().min(1).max(64),
  error: z.object({ code: z.string().max(256).optional(), message: z.string().optional() }).nullish(),
});

/** Asks once. Throws CallFailed. */
export async function statusAt(calls: AzureCalls, operation: Operation): Promise<Status> {
  calls.operations.add(operation.path);
  const answer = await calls.send("status", (client) => client.get(operation.url));
  const afterMs = retryAfterOf(calls.headers());
  // Followed by its Location header: the body is the scale set's, once there is one.
  if (answer.status === 202) return { is: "running", afterMs };
  const body: unknown = JSON.parse(answer.bodyAsText ?? "{}");
  const said = Said.safeParse(body);
  if (!said.success) return { is: "done" };
  switch (said.data.status) {
    case "Succeeded":
      return { is: "done" };
    case "Failed":
    case "Canceled": {
      const { code = "", message = "" } = said.data.error ?? {};
      return { is: "failed", code: statusOf(code, message, 0), words: `${said.data.status}: ${code}: ${message}` };
    }
    default:
      return { is: "running", afterMs };
  }
}
