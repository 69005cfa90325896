import { html } from "hono/html";
import { printable } from "../terminal.ts";

/** Pieces of a page. Everything that is put into `html` is escaped by it; nothing here writes markup in another way. */
export type Html = ReturnType<typeof html>;

/** Others' words: what cannot be seen, or turns text round, is shown as an escape. */
export function said(text: string): string {
  return printable(text);
}

/** Unix seconds, in words and for programs. */
export function timeView(seconds: number): Html {
  const iso = new Date(seconds * 1000).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace("T", " ")} UTC</time>`;
}

/** How long ago, of Unix seconds; what is to come is now. */
export function ageText(then: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round(nowMs / 1000 - then));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
}

export function ageView(then: number, nowMs: number): Html {
  return html`<time datetime="${new Date(then * 1000).toISOString()}">${ageText(then, nowMs)}</time>`;
}

/** A table that scrolls by itself where it does not fit, also by the keyboard. `rows`: cells in order, the first is the row's head. */
export function tableView(name: string, heads: readonly string[], rows: readonly (readonly (Html | string)[])[]): Html {
  const cells = (row: readonly (Html | string)[]): Html[] =>
    row.map((cell, at) => (at === 0 ? html`<th scope="row">${cell}</th>` : html`<td>${cell}</td>`));
  return html`<div class="wide" tabindex="0" role="region" aria-label="${name}"><table><caption>${name}</caption>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${cells(row)}</tr>`)}</tbody></table></div>`;
}

/** Terms and what they are; those without a value are left out. */
export function factsView(list: readonly (readonly [string, Html | string | null])[]): Html {
  const shown = list.filter(([, value]) => value !== null && value !== "");
  return html`<dl>${shown.map(([term, value]) => html`<dt>${term}</dt><dd>${value}</dd>`)}</dl>`;
}

export const VIEWS = {
  "/": "Clusters",
  "/rollouts": "Rollouts",
  "/alarms": "Alarms and refusals",
  "/libraries": "Libraries",
};
const RENEW_SECONDS = 30;

export type Shell = {
  readonly title: string;
  /** The view of VIEWS that it belongs to. */
  readonly view: string;
  /** This page's own address, for `renew`. */
  readonly address: URL;
  /** Milliseconds since 1970. */
  readonly at: number;
};

/** A whole page around `main`. It does not change by itself, and says of when it is. */
export function shell({ title, view, address, at }: Shell, main: Html | readonly Html[]): Html {
  const renewing = address.searchParams.has("renew");
  const other = new URL(address);
  if (renewing) other.searchParams.delete("renew");
  else other.searchParams.set("renew", String(RENEW_SECONDS));
  const words = renewing ? "Do not renew it" : `Renew it every ${RENEW_SECONDS} s`;
  const links = Object.entries(VIEWS).map(
    ([path, name]) => html`<a href="${path}"${path === view ? html` aria-current="page"` : ""}>${name}</a>`,
  );
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>reeve fleet: ${title}</title><link rel="stylesheet" href="/page.css"></head>
<body><a class="skip" href="#main">Skip to the content</a>
<header><h1>reeve fleet</h1><nav aria-label="Views">${links}</nav></header>
<main id="main" tabindex="-1"><h2>${title}</h2>
<p class="as-of">As of ${timeView(at / 1000)}${renewing ? ", renewed by itself." : ". It does not change by itself."}
<a href="${address.pathname}${address.search}">Renew</a> · <a href="${other.pathname}${other.search}">${words}</a></p>
${main}</main></body></html>`;
}
