import type { Rows, ShownPolicy } from "../shapes.ts";
import { askPolicy, askRows, NoSession, openSession } from "./api.ts";
import { byId, h } from "./dom.ts";
import { filterOf } from "./filterForm.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { policyView } from "./policyView.ts";
import type { Beside } from "./rowView.ts";
import { timeline } from "./timeline.ts";
import type { Usage } from "./usage.ts";
import { verdictView } from "./verdictView.ts";
import { plain } from "./words.ts";

/** Starts the page: session, the view that the address names, then the check of the whole log beside it. */
async function start(): Promise<void> {
  const key = await openSession();
  const main = byId("main");
  const checker = startChecker(key);
  let policy: ShownPolicy | null = null;
  const beside: Beside = {
    sentence: (digest, rule) => policy?.sentences[digest]?.[rule] ?? null,
    isChecked: checker.isChecked,
  };

  async function show(): Promise<void> {
    const view = location.pathname === "/policy" ? "policy" : "timeline";
    for (const link of document.querySelectorAll<HTMLAnchorElement>("nav a")) {
      if (link.dataset["view"] === view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `reeve: ${view}`;
    if (view === "timeline") {
      const filter = filterOf(location.search);
      // Asked for beside the rows: the first look does not wait for it.
      const asked = policy === null ? askPolicy(key) : null;
      const rows = (wanted: URLSearchParams, before: Rows["next"]): Promise<Rows> => askRows(key, wanted, before);
      await timeline(main, filter, rows, beside, (wanted) => go(`/?${wanted}`));
      // What the bench reads: when a person first sees commands.
      performance.mark("rows");
      policy = (await asked) ?? policy;
      checker.start();
      return;
    }
    policy = await askPolicy(key);
    policyView(main, policy, checker.usage());
    checker.start();
  }

  function go(address: string): void {
    history.pushState(null, "", address.replace(/\?$/, ""));
    attempt(show);
    byId("main").focus();
  }

  checker.onUsage(() => {
    if (location.pathname === "/policy" && policy !== null) policyView(main, policy, checker.usage());
  });
  for (const link of document.querySelectorAll<HTMLAnchorElement>("nav a"))
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go(link.pathname);
    });
  window.addEventListener("popstate", () => attempt(show));
  await show();
}

type Checker = Pick<Beside, "isChecked"> & {
  /** Begins, once, when the first look stands: both would want the same disk. */
  start(): void;
  usage(): Usage | "counting" | "not counted";
  onUsage(then: () => void): void;
};

function startChecker(key: string): Checker {
  const asked = new Map<number, (same: boolean | null) => void>();
  /** Questions before the check was done. */
  const later: (() => void)[] = [];
  let worker: Worker | null = null;
  let done = false;
  let usage: ReturnType<Checker["usage"]> = "counting";
  let told = (): void => undefined;
  let next = 0;

  function hear({ data }: MessageEvent<FromWorker>): void {
    if (data.kind === "same") {
      asked.get(data.ask)?.(data.same);
      asked.delete(data.ask);
      return;
    }
    verdictView(byId("verdict"), data);
    if (data.kind === "failed") end("not counted");
    if (data.kind !== "verdict") return;
    byId("cluster").textContent = plain(/\/cluster\/([^/]+)\//.exec(data.verdict.origin ?? "")?.[1] ?? "");
    done = true;
    for (const ask of later.splice(0)) ask();
    end(data.usage);
  }

  function end(counted: Usage | "not counted"): void {
    usage = counted;
    told();
  }

  return {
    start() {
      if (worker !== null) return;
      worker = new Worker(workerAddress(), { type: "module" });
      worker.addEventListener("message", hear);
      worker.addEventListener("error", ({ message }) => {
        verdictView(byId("verdict"), { kind: "failed", because: message });
        end("not counted");
      });
      worker.postMessage({ key } satisfies ToWorker);
    },
    usage: () => usage,
    onUsage(then) {
      told = then;
    },
    isChecked: (index, line) =>
      new Promise((resolve) => {
        const ask = (): void => {
          next += 1;
          asked.set(next, resolve);
          worker?.postMessage({ ask: next, index, line } satisfies ToWorker);
        };
        if (done) ask();
        else later.push(ask);
      }),
  };
}

/** The one address that this page makes code of. Where a browser has Trusted Types, no other string can become one. */
function workerAddress(): string {
  const address = "/worker.js";
  const types = (
    globalThis as {
      trustedTypes?: {
        createPolicy(name: string, rules: { createScriptURL(): string }): { createScriptURL(from: string): string };
      };
    }
  ).trustedTypes;
  return types === undefined
    ? address
    : types.createPolicy("reeve", { createScriptURL: () => address }).createScriptURL(address);
}

function attempt(act: () => Promise<void>): void {
  act().catch((error: unknown) => {
    const hint =
      error instanceof NoSession
        ? "This address has been used or is old. Run `reeve audit ui` again, and open the address that it prints."
        : plain(String(error));
    byId("main").replaceChildren(h("h2", {}, "Nothing can be shown"), h("p", { class: "fault", role: "alert" }, hint));
  });
}

attempt(start);
