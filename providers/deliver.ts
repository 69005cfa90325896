import { DiskError, type Host } from "../agent/host/host.ts";
import { CallFailed, type CallPlace, type Gate, type OperationRow } from "./provider.ts";

/** A certificate that a cloud issued is written beside its request, on this machine: a change of its own, through the same gate. */
export const DELIVERY_OPERATIONS = [
  { operation: "local.certificate.deliver", kind: "change", method: "write" },
] as const satisfies readonly OperationRow[];

/** Whether it lies there already is a read. */
export const FOUND_OPERATIONS = [
  { operation: "local.certificate.find", kind: "read", method: "read" },
] as const satisfies readonly OperationRow[];

const MAX_DELIVERED_BYTES = 64 * 1024;

function placeOf(path: string, method: "read" | "write" = "write"): CallPlace {
  return { host: path, region: "local", method };
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

/** Where `isDelivered` may look. */
export function foundPlaces(path: string | null): readonly CallPlace[] {
  return path === null ? [] : [placeOf(path, "read")];
}

/** Whether exactly this chain, PEM, lies in its place. Throws CallFailed and GateBreach. */
export function isDelivered(host: Host, gate: Gate, authority: string, path: string, pem: string): Promise<boolean> {
  return gate.call("local.certificate.find", authority, async (leave) => {
    leave(placeOf(path, "read"), "writing");
    try {
      const there = host.disk.exists(path) && host.disk.read(path, MAX_DELIVERED_BYTES).bytes;
      return { value: there !== false && Buffer.from(there).equals(Buffer.from(pem)), request: null };
    } catch (error) {
      throw error instanceof DiskError ? new CallFailed(error.code, error.message, "none") : error;
    }
  });
}
