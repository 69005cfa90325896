import { thumbprint } from "../../agent/wire/trust.ts";
import type { Asked } from "../../policy/asked.ts";
import { signerFor } from "../commands/signing.ts";
import { unfence } from "../epoch.ts";
import { fileSigner, folderKey, folderKids, initKey } from "../keyFolder.ts";
import { readManifestNote } from "../manifest/file.ts";
import { storeManifest } from "../manifest/inventory.ts";
import { rotate } from "../rotate.ts";
import { cancel, readCommand, send } from "../send.ts";
import type { Store } from "../store.ts";
import { makeToken } from "../token.ts";
import { Unmet } from "./case.ts";
import type { Driver } from "./driver.ts";

/** This control plane's own operator: its folder and the state in it, and the folder with its command key. */
export function ownDriver(store: Store, dir: string, keys: string): Driver {
  const [first] = folderKids(keys);
  const signer = fileSigner(keys, first);
  return {
    pin: () => thumbprint(signer.x),
    token: async (cluster, seconds) => (await makeToken(dir, cluster, seconds, signer)).token,
    async send(cluster, { action, args, seconds, dry_run }) {
      const asked = { action, args } as unknown as Asked;
      const wish = { dir, cluster, asked, by: "conform", why: "conform", lifetime: seconds, dryRun: dry_run };
      return (await send(store, wish, await signerFor(store, cluster, { keys }))).id;
    },
    state: (id) =>
      store.transaction(async (sql) => {
        const { state, code } = await readCommand(sql, id);
        return { state, code };
      }),
    cancel: async (id) => void (await cancel(store, id)),
    async rotate(cluster) {
      const kid = `conform-${Date.now()}`;
      await initKey(keys, kid);
      const { x } = folderKey(keys, kid);
      const change = {
        addKeys: [{ kid, x }],
        dropKeys: [],
        addRoots: [],
        dropRoots: [],
        addWitnesses: [],
        dropWitnesses: [],
      };
      const done = await rotate(store, dir, cluster, change, () => signer);
      if (done === null) throw new Unmet("the statement named the new key already");
      return done.statement.version;
    },
    unfence: async (cluster, epoch) => void (await unfence(store, cluster, epoch, "conform", "conform")),
    async manifest(_cluster, note) {
      const read = readManifestNote(note, "read the manifest of a case");
      await store.transaction((sql) => storeManifest(sql, read));
    },
  };
}
