import { groupsHere } from "../doctor/look.ts";
import type { Host } from "../host/host.ts";
import type { Machine } from "../host/machine.ts";
import type { Survey } from "../host/survey.ts";
import { Complaint } from "./config.ts";

export type Rights = {
  readonly host: Host;
  readonly machine: Pick<Machine, "uid">;
  readonly survey: Pick<Survey, "actAs">;
};

/**
 * Does something in a folder that the agent writes with the rights of the folder's owner, as `doctor` does: root follows no link that the
 * agent's user has laid, for it has only that user's rights meanwhile. Complains with exit 4 when the folder is none, or the rights are not had.
 */
export function asOwnerOf<T>(rights: Rights, folder: string, cannot: string, act: () => T): T {
  const { disk } = rights.host;
  const { kind, uid, gid } = disk.stat(folder);
  if (kind !== "directory")
    throw new Complaint(cannot, `${folder} is not a folder`, "See what lies there: nothing was changed.", 4);
  if (rights.machine.uid !== 0 || uid === 0) return act();
  const back = rights.survey.actAs(uid, [...new Set([...groupsHere(disk, uid), gid])]);
  if (typeof back !== "function")
    throw new Complaint(
      cannot,
      `the rights of uid ${uid}, to whom ${folder} belongs, could not be taken: ${back.code}`,
      "Run it as that user.",
      4,
    );
  try {
    return act();
  } finally {
    back();
  }
}
