import { DiskError, type Host } from "../agent/host/host.ts";
import { CallFailed, type CallPlace, type Gate, type OperationRow } from "./provider.ts";

/** After a crash: whether a certificate that the cloud can show again had come to its place on this machine. */
export const DELIVERED_OPERATIONS = [
  { operation: "local.certificate.delivered", kind: "read", method: "read" },
] as const satisfies readonly OperationRow[];

/** What is written there is a chain of a few certificates. */
const MAX_CHAIN_BYTES = 64 * 1024;

/** Where it is read; nowhere when the certificate stays in the outcome only. */
export function deliveredPlaces(path: string | null): readonly CallPlace[] {
  return path === null ? [] : [{ host: path, region: "local", method: "read" }];
}

/** Whether exactly this chain, PEM, lies in its place. Throws CallFailed and GateBreach. */
export function isDelivered(host: Host, gate: Gate, authority: string, path: string, pem: string): Promise<boolean> {
  return gate.call("local.certificate.delivered", authority, async (leave) => {
    leave({ host: path, region: "local", method: "read" }, "writing");
    try {
      const there = host.disk.exists(path) ? Buffer.from(host.disk.read(path, MAX_CHAIN_BYTES).bytes) : null;
      return { value: there?.equals(Buffer.from(pem)) === true, request: null };
    } catch (error) {
      throw error instanceof DiskError ? new CallFailed(error.code, error.message, "none") : error;
    }
  });
}
