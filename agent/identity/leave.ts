import type { Host } from "../host/host.ts";
import { NAMES, removeIfThere } from "./store.ts";

/**
 * Removes the identity durably, not the log. `folder`: `<state>/identity`. The certificate's key goes first: a stop after any line leaves
 * an identity that `leave` removes when run again, or none.
 */
export function leave(host: Host, folder: string): void {
  for (const name of [NAMES.agent, NAMES.pending, NAMES.root, NAMES.fenced]) {
    // A crash inside `replace` may have left a file beside; keys must not outlive the identity.
    removeIfThere(host.disk, `${folder}/${name}.new`);
    removeIfThere(host.disk, `${folder}/${name}`);
  }
}
