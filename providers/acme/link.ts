import type { Acme } from "../../agent/providerConfig/acme.ts";
import { CallFailed, type CallPlace } from "../provider.ts";

/** ACME has no regions: every call is of this one. */
const REGION = "acme";
const METHODS = ["GET", "HEAD", "POST"] as const;
export type Method = (typeof METHODS)[number];

/** The origins that calls may go to: the directory's own, and those that the config lists beside it. */
function origins({ directory, hosts }: Pick<Acme, "directory" | "hosts">): readonly string[] {
  return [new URL(directory).origin, ...hosts];
}

export function placeOf(url: URL, method: Method): CallPlace {
  return { host: url.host, region: REGION, method };
}

/** Where an authority's calls may go, for the gate. */
export function placesOf(acme: Acme): readonly CallPlace[] {
  return origins(acme).flatMap((origin) => METHODS.map((method) => placeOf(new URL(origin), method)));
}

/**
 * A URL that the authority answered with. It may be followed only over https, to an origin that the config knows, without credentials in it.
 * Throws CallFailed `foreign-url`.
 */
export function linkOf(acme: Acme, text: string): URL {
  const url = URL.parse(text);
  const good =
    url !== null &&
    url.protocol === "https:" &&
    origins(acme).includes(url.origin) &&
    url.username === "" &&
    url.password === "" &&
    url.hash === "";
  if (!good) throw new CallFailed("foreign-url", `it answers with ${JSON.stringify(text.slice(0, 512))}`, "none");
  return url;
}
