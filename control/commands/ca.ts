import type { Command } from "commander";
import { endRoot, type Switched, switchRoot } from "../overlap.ts";
import { droppedRoots, liveRoots, newRoot, type Root } from "../roots.ts";
import { printable, table } from "../terminal.ts";
import { out, withStore } from "./state.ts";

const RUNBOOK = `
From one root to the next, without losing an agent:
  1. reeve-control ca new-root --dir D                 then restart serve: it takes certificates of both from now on
  2. reeve-control keys rotate --dir D --all --keys K --add-root NEW
  3. reeve-control keys show --dir D                   until every agent has accepted it
  4. reeve-control ca use-root NEW --dir D             then restart serve: all that it issues is of the new root
  5. reeve-control keys rotate --dir D --all --keys K --drop-root OLD
  6. reeve-control ca drop-root OLD --dir D            when every agent has renewed (a day); then restart serve`;

type Options = { dir: string; leaveBehind?: string[]; json?: boolean };

export function addCa(top: Command): void {
  const ca = top
    .command("ca")
    .description("The control plane's root CAs, and the change from one to the next.")
    .addHelpText("after", RUNBOOK);
  withDir(ca.command("show").description("The roots: which one is in use, which stand beside it.")).action(show);
  withDir(ca.command("new-root").description("Make a root beside the one in use. Nothing uses it yet.")).action(
    async (options: Options) => {
      const root = await newRoot(options.dir);
      const words = `a new root ${root.sha256}\nnext: restart serve, then \`keys rotate --add-root ${root.sha256.slice(0, 12)}\`\n`;
      out(options.json ? `${JSON.stringify({ root_sha256: root.sha256 })}\n` : words);
    },
  );
  leaving(
    withDir(
      ca
        .command("use-root")
        .description("Switch to a root. `serve` reads at its start which one is in use: restart it.")
        .argument("<sha256>", "the root, or the first characters of its SHA-256"),
    ),
  ).action(async (sha256: string, options: Options) => {
    const done = await withStore(options.dir, (store) =>
      switchRoot(store, options.dir, sha256, options.leaveBehind ?? []),
    );
    report(done, `the root ${done.root.sha256} is in use\nnext: restart serve\n`, options.json === true);
  });
  leaving(
    withDir(
      ca
        .command("drop-root")
        .description(
          "End an overlap: delete the root's key, and take no certificate by it from the next start of `serve` on.",
        )
        .argument("<sha256>", "the root, or the first characters of its SHA-256"),
    ),
  ).action(async (sha256: string, options: Options) => {
    const done = await withStore(options.dir, (store) =>
      endRoot(store, options.dir, sha256, options.leaveBehind ?? []),
    );
    const words = `the root ${done.root.sha256} is dropped; its certificate stays in DIR/ca/roots, for old logs\nnext: restart serve\n`;
    report(done, words, options.json === true);
  });
}

function withDir(command: Command): Command {
  return command.requiredOption("--dir <folder>", "the control plane's folder").option("--json", "print JSON");
}

function leaving(command: Command): Command {
  return command.option(
    "--leave-behind <cluster...>",
    "give these up: their agents cannot reach this control plane afterwards, and must join anew",
  );
}

function show(options: Options): void {
  const [inUse, ...beside] = liveRoots(options.dir);
  const rows = [
    ...(inUse === undefined ? [] : [rowOf(inUse, "in use")]),
    ...beside.map((root) => rowOf(root, "beside")),
    ...droppedRoots(options.dir).map((root) => rowOf(root, "dropped")),
  ];
  const cells = rows.map((row) => [row.sha256, row.state, row.not_before, row.not_after]);
  const text = table([["root (SHA-256)", "state", "from", "until"], ...cells], []);
  out(options.json ? `${JSON.stringify({ roots: rows })}\n` : text);
}

type Row = {
  readonly sha256: string;
  readonly state: "in use" | "beside" | "dropped";
  readonly not_before: string;
  readonly not_after: string;
};
function rowOf(root: Root, state: Row["state"]): Row {
  const [not_before = "", not_after = ""] = [root.notBefore, root.notAfter].map((at) => new Date(at).toISOString());
  return { sha256: root.sha256, state, not_before, not_after };
}

function report(done: Switched, words: string, json: boolean): void {
  const { root, left, tokens } = done;
  out(json ? `${JSON.stringify({ root_sha256: root.sha256, left_behind: left, unused_tokens: tokens })}\n` : words);
  for (const one of left) process.stderr.write(`${printable(`left behind: ${one.cluster} ${one.why}`)}\n`);
  if (tokens > 0)
    process.stderr.write(
      `${tokens} join token(s) are not used yet; those that pin another root are good for nothing now: make them anew\n`,
    );
}
