import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { ArtifactsDirectory } from "../../agent/providerConfig/artifacts.ts";
import type { UnfitArtifact } from "../provider.ts";

/** A program that was held against its digest on this descriptor. It must be closed. */
export type Program = { readonly fd: number; close(): void };

const IMAGE = /^sha256:([0-9a-f]{64})$/;
/** Group or others may write. */
const WRITABLE_BY_OTHERS = 0o022;
const EXECUTABLE_BY_ALL = 0o111;
const CHUNK_BYTES = 1024 * 1024;
/** Of an ELF file (System V ABI, ELF header): a script's process would be its interpreter, and nobody could tell what it runs. */
const ELF = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);

/**
 * The program that an image names, out of the owner's directory: opened once without following links, judged as the owner's folder is, and
 * read whole on that descriptor, which is also what is executed. Who may write there is the owner alone.
 */
export async function openProgram(
  artifacts: ArtifactsDirectory | null,
  image: string,
): Promise<Program | UnfitArtifact> {
  const hex = IMAGE.exec(image)?.[1];
  if (hex === undefined)
    return unfit(
      "malformed",
      "here an image is named by its program's SHA-256, sha256:HEX",
      "Correct the manifest's parameters.images.",
    );
  if (artifacts === null)
    return unfit(
      "missing",
      "the config names no directory of artifacts",
      "Set artifacts: { directory: /PATH } in the config.",
    );
  const { directory, uid } = artifacts;
  const path = `${directory}/${hex}`;
  let fd: number | null = null;
  try {
    const folder = statSync(directory);
    if (!folder.isDirectory() || !isOwners(folder, uid))
      return unfit(
        "missing",
        `${directory} is not a directory of uid ${uid} that nobody else can write`,
        `ls -ld ${directory}`,
      );
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const fault = fileFault(path, fstatSync(fd), uid) ?? (await contentFault(path, fd, hex));
    if (fault !== null) return fault;
    const open = fd;
    fd = null;
    return { fd: open, close: () => closeSync(open) };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : null;
    if (code === null) throw error;
    const because = code === "ENOENT" ? "is not there" : `cannot be read (${code})`;
    return unfit(
      "missing",
      `${path} ${because}`,
      `Put the program there, owned by uid ${uid}: install -m 0755 PROGRAM ${path}`,
    );
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

function isOwners(stats: Stats, uid: number): boolean {
  return (stats.uid === uid || stats.uid === 0) && (stats.mode & WRITABLE_BY_OTHERS) === 0;
}

function fileFault(path: string, stats: Stats, uid: number): UnfitArtifact | null {
  if (!stats.isFile() || stats.nlink !== 1 || !isOwners(stats, uid))
    return unfit(
      "missing",
      `${path} is not a plain file of uid ${uid}, of one name, that nobody else can write`,
      `ls -l ${path}`,
    );
  if ((stats.mode & EXECUTABLE_BY_ALL) !== EXECUTABLE_BY_ALL)
    return unfit("malformed", `${path} cannot be executed by all`, `chmod a+x ${path}`);
  return null;
}

async function contentFault(path: string, fd: number, hex: string): Promise<UnfitArtifact | null> {
  const { sha256, head } = await digestOf(fd);
  if (sha256 !== hex)
    return unfit(
      "digest",
      `${path} has the SHA-256 ${sha256.slice(0, 16)}…, another than its name says`,
      "Put the program of that digest there.",
    );
  if (!head.equals(ELF))
    return unfit(
      "malformed",
      `${path} is no program of its own (ELF)`,
      "Deploy a compiled program; a script's interpreter would be what runs.",
    );
  return null;
}

/** Lower-case hex of all that can be read on the descriptor from its beginning. Others get their turn in between. */
export async function digestOf(fd: number): Promise<{ readonly sha256: string; readonly head: Buffer }> {
  const hash = createHash("sha256");
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let head = Buffer.alloc(0);
  for (let at = 0; ; ) {
    const count = readSync(fd, chunk, 0, chunk.length, at);
    if (at === 0) head = Buffer.from(chunk.subarray(0, Math.min(count, ELF.length)));
    if (count === 0) return { sha256: hash.digest("hex"), head };
    hash.update(chunk.subarray(0, count));
    at += count;
    await setImmediate();
  }
}

function unfit(artifact: UnfitArtifact["artifact"], because: string, hint: string): UnfitArtifact {
  return { artifact, because, hint };
}
