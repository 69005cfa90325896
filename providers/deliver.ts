import { DiskError, type Host } from "../agent/host/host.ts";
import { CallFailed, type CallPlace, type Gate, type OperationRow } from "./provider.ts";

/** A certificate that a cloud issued is written beside its request, on this machine: a change of its own, through the same gate. */
export const DELIVERY_OPERATIONS = [
  { operation: "local.certificate.deliver", kind: "change", method: "write" },
] as const satisfies readonly OperationRow[];

function placeOf(path: string): CallPlace {
  return { host: path, region: "local", method: "write" };
}

/** Where a command may write; nowhere when the certificate stays in the outcome only. */
export function deliveryPlaces(path: string | null): readonly CallPlace[] {
  return path === null ? [] : [placeOf(path)];
}

/** Puts the chain, PEM, in its place, whole or not at all. Throws CallFailed, Halted and GateBreach. */
export async function deliver(host: Host, gate: Gate, authority: string, path: string, pem: string): Promise<void> {
  await gate.call("local.certificate.deliver", authority, async (leave) => {
    leave(placeOf(path), "writing");
    try {
      host.disk.replace(path, new TextEncoder().encode(pem), 0o644);
    } catch (error) {
      throw error instanceof DiskError ? new CallFailed(error.code, error.message, "none") : error;
    }
    return { value: undefined, request: null };
  });
}
