/**
 * Scales a group, or deploys to it, and dies by SIGKILL right before or after the n-th write of its bookkeeping: scale.test.ts and
 * deployCrash.test.ts look at what is left.
 */
import { localProvider } from "../../providers/local/local.ts";
import { act, errand, host } from "./world.ts";

const { state, config, count, at, artifacts = null, deploy = null } = JSON.parse(process.env["STARTER"] ?? "");
const [when, nth] = String(at).split(" ");
let writes = 0;
const disk = {
  ...host.disk,
  replace(path: string, bytes: Uint8Array, mode: number): void {
    writes++;
    if (when === "before" && writes === Number(nth)) process.kill(process.pid, "SIGKILL");
    host.disk.replace(path, bytes, mode);
    if (when === "after" && writes === Number(nth)) process.kill(process.pid, "SIGKILL");
  },
};
const provider = localProvider({ host: { ...host, disk } }, config, state, artifacts);
if (deploy === null) await act({ action: provider.scale, args: { group: "web", count }, resource: "web" });
else if (provider.deploy !== undefined)
  await act({ action: provider.deploy, args: deploy.args, resource: "web" }, {}, { ...errand(), id: deploy.id });
