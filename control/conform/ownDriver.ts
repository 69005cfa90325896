import { thumbprint } from "../../agent/wire/trust.ts";
import type { Asked } from "../../policy/asked.ts";
import { signerFor } from "../commands/signing.ts";
import { withStore } from "../commands/state.ts";
import { unfence } from "../epoch.ts";
import { fileSigner, folderKey, folderKids, initKey } from "../keyFolder.ts";
import { rotate } from "../rotate.ts";
import { cancel, readCommand, send } from "../send.ts";
import { makeToken } from "../token.ts";
import { Unmet } from "./case.ts";
import type { Driver } from "./driver.ts";

/** This control plane's own operator: its folder, and the folder with its command key. */
export function ownDriver(dir: string, keys: string): Driver {
  const [first] = folderKids(keys);
  const signer = fileSigner(keys, first);
  return {
    pin: () => thumbprint(signer.x),
    token: async (cluster, seconds) => (await makeToken(dir, cluster, seconds, signer)).token,
    send: (cluster, { action, args, seconds, dry_run }) =>
      withStore(dir, async (store) => {
        const asked = { action, args } as unknown as Asked;
        const wish = { dir, cluster, asked, by: "conform", why: "conform", lifetime: seconds, dryRun: dry_run };
        return (await send(store, wish, await signerFor(store, cluster, { keys }))).id;
      }),
    state: (id) =>
      withStore(dir, (store) =>
        store.transaction(async (sql) => {
          const { state, code } = await readCommand(sql, id);
          return { state, code };
        }),
      ),
    cancel: (id) => withStore(dir, async (store) => void (await cancel(store, id))),
    rotate: (cluster) =>
      withStore(dir, async (store) => {
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
      }),
    unfence: (cluster, epoch) =>
      withStore(dir, async (store) => void (await unfence(store, cluster, epoch, "conform", "conform"))),
  };
}
