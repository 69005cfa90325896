import type { UnfitArtifact } from "../../providers/provider.ts";
import { within } from "../deadline.ts";
import type { Clock, Disk } from "../host/host.ts";
import type { Session } from "../identity/session.ts";
import { MANIFEST_TIMEOUT_SECONDS, MAX_MANIFEST_ANSWER_BYTES, MAX_MANIFEST_BYTES } from "../limits.ts";
import { readOwned } from "../owner/files.ts";
import type { ArtifactsConfig } from "../providerConfig/artifacts.ts";
import { ManifestAnswer } from "../wire/protocol.ts";

/** `away`: the place did not answer, and may later. */
export type Obtained = { readonly note: string } | UnfitArtifact | { readonly away: string };
/** Obtains the note of a manifest by its digest, lower-case hex; nobody has looked at what it says. Never throws on what others do. */
export type ManifestSource = (hex: string, signal: AbortSignal) => Promise<Obtained>;

/**
 * Where manifests are read, as the config's `artifacts` says. No address is ever taken from a command: a file of the owner's directory by
 * its digest, or the agent's own control plane.
 */
export function manifestSource(
  config: ArtifactsConfig,
  { clock, disk }: { readonly clock: Clock; readonly disk: Disk },
  session: Pick<Session, "get">,
): ManifestSource {
  if (config === "none")
    return async () =>
      unfit("missing", "the config names no place for artifacts", "Set artifacts in the config (docs/OPERATIONS.md).");
  if (config.control_plane === true)
    return (hex, signal) =>
      within(clock, MANIFEST_TIMEOUT_SECONDS, (until) => fromControlPlane(session, hex, until), signal);
  return async (hex) => fromDirectory(disk, config, hex);
}

const FIRST_WAIT_MS = 500;
const LAST_WAIT_MS = 4000;

/** Asks a place that did not answer some times more, for some seconds: a connection that was just lost is no reason to refuse a command. */
export function patient(source: ManifestSource, clock: Pick<Clock, "sleep">): ManifestSource {
  return async (hex, signal) => {
    for (let wait = FIRST_WAIT_MS; ; wait *= 2) {
      const got = await source(hex, signal);
      if (!("away" in got) || wait > LAST_WAIT_MS || signal.aborted) return got;
      await clock.sleep(wait, signal);
    }
  };
}

function fromDirectory(disk: Disk, at: { readonly directory: string; readonly uid: number }, hex: string): Obtained {
  const file = readOwned(disk, at, `${hex}.manifest`, MAX_MANIFEST_BYTES);
  if (!("bytes" in file)) return unfit("missing", file.because, file.hint);
  try {
    return { note: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(file.bytes) };
  } catch {
    return unfit("malformed", `${hex}.manifest is not UTF-8`, FROM_CREATE);
  }
}

export const FROM_CREATE = "It is what `reeve-control manifest create` wrote, byte for byte.";

async function fromControlPlane(session: Pick<Session, "get">, hex: string, signal: AbortSignal): Promise<Obtained> {
  const options = { timeoutSeconds: MANIFEST_TIMEOUT_SECONDS, signal };
  const got = await session.get(`/v1/manifests/${hex}`, ManifestAnswer, MAX_MANIFEST_ANSWER_BYTES, options);
  if ("ok" in got) return got.ok;
  if ("fault" in got)
    return got.fault === "not-found"
      ? unfit("missing", "the control plane has no such manifest of this cluster", "Send it with `--manifest FILE`.")
      : { away: `the control plane says ${got.fault}` };
  // What came was no answer of the protocol: compressed, too long, a redirect, no JSON or not of its form.
  if (got.unreachable.startsWith("answer"))
    return unfit("malformed", `the control plane's answer is none (${got.unreachable})`, "Look at the control plane.");
  return { away: `the control plane did not answer (${got.unreachable})` };
}

export function unfit(artifact: UnfitArtifact["artifact"], because: string, hint: string): UnfitArtifact {
  return { artifact, because, hint };
}
